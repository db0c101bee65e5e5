// SPDX-License-Identifier: GPL-2.0
/*
 * Module init and exit, nothing else.
 */
#include <linux/module.h>
#include <net/genetlink.h>
#include "kssl.h"

module_param_named(legacy, kssl_legacy, bool, 0444);
MODULE_PARM_DESC(legacy, "allow SSL 3.0, RC4, DES, RC2 and export cipher suites, all of them broken");
module_param_named(ktls, kssl_ktls, bool, 0444);
MODULE_PARM_DESC(ktls, "be the kernel's TLS (ULP \"tls\", SOL_TLS) too, in place of tls.ko");

static int __init kssl_init(void)
{
	int ret = kssl_crypt_init();

	if (ret)
		return ret;
	if (kssl_legacy)
		pr_notice("kssl: SSL 3.0, RC4, DES, RC2 and export cipher suites are allowed\n");
	ret = kssl_upcall_init();
	if (ret)
		goto exit_crypt;
	ret = kssl_genl_register();
	if (ret)
		goto exit_upcall;
	ret = kssl_ulp_register();
	if (ret)
		goto unregister_genl;
	return 0;
unregister_genl:
	kssl_genl_unregister();
exit_upcall:
	kssl_upcall_exit();
exit_crypt:
	kssl_crypt_exit();
	return ret;
}

static void __exit kssl_exit(void)
{
	kssl_genl_unregister();
	kssl_ulp_unregister();
	kssl_upcall_exit();
	kssl_crypt_exit();
	kssl_hash_exit();
}

module_init(kssl_init);
module_exit(kssl_exit);

MODULE_DESCRIPTION("SSL/TLS record layer of TCP sockets with a handshake helper");
MODULE_LICENSE("GPL");
MODULE_VERSION(KSSL_VERSION);
MODULE_ALIAS_GENL_FAMILY(KSSL_GENL_NAME);
MODULE_ALIAS_TCP_ULP("kssl");
MODULE_SOFTDEP("pre: gcm aesni-intel");
