// SPDX-License-Identifier: MIT
import java.io.FileInputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.security.KeyStore;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

/**
 * An echo made of JSSE: sends back what it receives.  Behind each so many bytes it starts a handshake, so often; the
 * thread that reads does it, for JSSE does not bear another one.
 *
 *	Jsse client|server PORT VERSION STORES TIMES BYTES [needs a certificate from then on]
 */
public class Jsse {
	static SSLContext context(String directory, String name) throws Exception {
		char[] none = "secret".toCharArray();
		KeyStore keys = KeyStore.getInstance("PKCS12");
		KeyStore trust = KeyStore.getInstance("PKCS12");
		KeyManagerFactory own = KeyManagerFactory.getInstance("PKIX");
		TrustManagerFactory others = TrustManagerFactory.getInstance("PKIX");
		SSLContext context = SSLContext.getInstance("TLS");

		keys.load(new FileInputStream(directory + "/" + name + ".p12"), none);
		own.init(keys, none);
		trust.load(new FileInputStream(directory + "/ca.p12"), none);
		others.init(trust);
		context.init(own.getKeyManagers(), others.getTrustManagers(), null);
		return context;
	}

	public static void main(String[] args) throws Exception {
		int port = Integer.parseInt(args[1]), left = Integer.parseInt(args[4]);
		SSLContext context = context(args[3], args[0].equals("client") ? "client" : "rsa");
		long got = 0, part = Long.parseLong(args[5]);
		SSLSocket socket;
		byte[] buf = new byte[16384];

		if (args[0].equals("client"))
			socket = (SSLSocket)context.getSocketFactory().createSocket("localhost", port);
		else
			socket = (SSLSocket)((SSLServerSocket)context.getServerSocketFactory()
				.createServerSocket(port)).accept();
		socket.setEnabledProtocols(new String[] { args[2] });
		socket.startHandshake();
		InputStream in = socket.getInputStream();
		OutputStream out = socket.getOutputStream();
		for (int n; (n = in.read(buf)) >= 0; ) {
			out.write(buf, 0, n);
			got += n;
			if (left == 0 || got < part)
				continue;
			got = 0;
			left--;
			if (args.length > 6)
				socket.setNeedClientAuth(true);
			socket.startHandshake();
		}
		System.out.println("suite " + socket.getSession().getCipherSuite());
		if (args.length > 6)
			System.out.println("peer " + socket.getSession().getPeerPrincipal());
		socket.close();
	}
}
