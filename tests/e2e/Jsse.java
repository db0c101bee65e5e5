// SPDX-License-Identifier: MIT
import java.io.FileInputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.security.KeyStore;
import java.security.Security;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

/**
 * An echo made of JSSE: sends back what it receives, over one connection after another.  In each, behind each so many
 * bytes it starts a handshake, so often; the thread that reads does it, for JSSE does not bear another one.
 *
 *	Jsse client|server PORT VERSION STORES CONNECTIONS demand|no [TIMES BYTES [needs a certificate from then on]]
 */
public class Jsse {
	static final char[] none = "secret".toCharArray();

	static KeyStore store(String directory, String name) throws Exception {
		KeyStore store = KeyStore.getInstance("PKCS12");

		store.load(new FileInputStream(directory + "/" + name + ".p12"), none);
		return store;
	}

	static SSLContext context(String directory, String... names) throws Exception {
		KeyStore keys = KeyStore.getInstance("PKCS12");
		KeyManagerFactory own = KeyManagerFactory.getInstance("PKIX");
		TrustManagerFactory others = TrustManagerFactory.getInstance("PKIX");
		SSLContext context = SSLContext.getInstance("TLS");

		keys.load(null, none);
		for (String name : names)
			keys.setEntry(name, store(directory, name).getEntry(name, new KeyStore.PasswordProtection(none)),
				new KeyStore.PasswordProtection(none));
		own.init(keys, none);
		others.init(store(directory, "ca"));
		context.init(own.getKeyManagers(), others.getTrustManagers(), null);
		return context;
	}

	static void echo(SSLSocket socket, int times, long part, boolean need) throws Exception {
		byte[] buf = new byte[16384];
		long got = 0;

		socket.startHandshake();
		InputStream in = socket.getInputStream();
		OutputStream out = socket.getOutputStream();
		for (int n; (n = in.read(buf)) >= 0; ) {
			out.write(buf, 0, n);
			got += n;
			if (times == 0 || got < part)
				continue;
			got = 0;
			times--;
			if (need)
				socket.setNeedClientAuth(true);
			socket.startHandshake();
		}
		System.out.println("suite " + socket.getSession().getCipherSuite());
		if (need)
			System.out.println("peer " + socket.getSession().getPeerPrincipal());
		socket.close();
	}

	public static void main(String[] args) throws Exception {
		boolean client = args[0].equals("client"), demand = args[5].equals("demand");
		int port = Integer.parseInt(args[1]), times = args.length > 6 ? Integer.parseInt(args[6]) : 0;

		/* It is for the other side to say what it wants. */
		Security.setProperty("jdk.tls.disabledAlgorithms", "");
		Security.setProperty("jdk.certpath.disabledAlgorithms", "");
		/* SSL 3.0 has no certificates with ECDSA for clients. */
		SSLContext context = client ? context(args[3], "client", "client-rsa") : context(args[3], "rsa", "ecdsa");
		SSLServerSocket listener = client ? null :
			(SSLServerSocket)context.getServerSocketFactory().createServerSocket(port);
		for (int left = Integer.parseInt(args[4]); left > 0; left--) {
			SSLSocket socket = client ?
				(SSLSocket)context.getSocketFactory().createSocket("localhost", port) :
				(SSLSocket)listener.accept();

			socket.setEnabledProtocols(new String[] { args[2] });
			socket.setEnabledCipherSuites(socket.getSupportedCipherSuites());
			if (demand)
				socket.setNeedClientAuth(true);
			echo(socket, times, times > 0 ? Long.parseLong(args[7]) : 0, args.length > 8);
		}
	}
}
