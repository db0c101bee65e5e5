// SPDX-License-Identifier: MIT
#include <openssl/provider.h>
#include <stdio.h>
#include <string.h>
#include "evp.h"

/* What OpenSSL calls what the kernel calls so; %u: bits of the key. */
static const struct {
	const char *kernel, *openssl;
} names[] = {
	{ "gcm(aes)", "AES-%u-GCM" },
	{ "ccm(aes)", "AES-%u-CCM" },
	{ "cbc(aes)", "AES-%u-CBC" },
	{ "rfc7539(chacha20,poly1305)", "ChaCha20-Poly1305" },
	{ "cbc(camellia)", "CAMELLIA-%u-CBC" },
	{ "gcm(aria)", "ARIA-%u-GCM" },
	{ "cbc(aria)", "ARIA-%u-CBC" },
	{ "gcm(sm4)", "SM4-GCM" },
	{ "ccm(sm4)", "SM4-CCM" },
	{ "cbc(des3_ede)", "DES-EDE3-CBC" },
	{ "cbc(des)", "DES-CBC" },
	/* What the kernel has not, and weak.c does. */
	{ "rc2", "RC2-CBC" },
	{ "rc4", "RC4" },
};

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "OpenSSL: %s failed\n", what);
	abort();
}

const EVP_CIPHER *evp_find(const struct kssl_cipher *cipher)
{
	static EVP_CIPHER *fetched[ARRAY_SIZE(names)][2];
	const char *alg = cipher->alg ? cipher->alg : cipher->explicit_len ? "rc2" : "rc4";
	EVP_CIPHER **slot;
	char name[32];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(names[i].kernel, alg))
			break;
	if (i == ARRAY_SIZE(names))
		return NULL;
	slot = &fetched[i][cipher->key_len == 32];
	if (!*slot) {
		snprintf(name, sizeof(name), names[i].openssl, cipher->key_len * 8);
		/* With "legacy" no other comes by itself. */
		if (cipher->locked && !OSSL_PROVIDER_available(NULL, "legacy"))
			must(OSSL_PROVIDER_load(NULL, "default") && OSSL_PROVIDER_load(NULL, "legacy"), "legacy");
		*slot = EVP_CIPHER_fetch(NULL, name, NULL);
	}
	return *slot;
}

static bool is_ccm(const EVP_CIPHER *cipher)
{
	return EVP_CIPHER_get_mode(cipher) == EVP_CIPH_CCM_MODE;
}

bool evp_aead(const EVP_CIPHER *cipher, bool encrypt, const u8 *key, const u8 *nonce, const u8 *aad,
	      unsigned int aad_len, const u8 *in, unsigned int len, u8 *out, unsigned int tag_len)
{
	unsigned int text_len = encrypt ? len : len - tag_len;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	u8 tag[16], none[1];
	bool ok = true;
	int n;

	must(ctx && EVP_CipherInit_ex(ctx, cipher, NULL, NULL, NULL, encrypt) == 1, "init");
	must(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, 12, NULL) == 1, "set nonce length");
	if (!encrypt)
		memcpy(tag, in + text_len, tag_len);
	if (!encrypt || is_ccm(cipher))
		must(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, tag_len, encrypt ? NULL : tag) == 1, "set tag");
	must(EVP_CipherInit_ex(ctx, NULL, NULL, key, nonce, encrypt) == 1, "set key");
	if (is_ccm(cipher))
		must(EVP_CipherUpdate(ctx, NULL, &n, NULL, text_len) == 1, "set length");
	must(EVP_CipherUpdate(ctx, NULL, &n, aad, aad_len) == 1, "additional data");
	/* CCM checks the tag here, and wants the call even for nothing. */
	if (text_len || is_ccm(cipher))
		ok = EVP_CipherUpdate(ctx, out ? out : none, &n, in ? in : none, text_len) == 1;
	if (!is_ccm(cipher))
		ok = ok && EVP_CipherFinal_ex(ctx, none, &n) == 1;
	if (encrypt) {
		must(ok, "encrypt");
		must(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, tag_len, out + text_len) == 1, "get tag");
	}
	EVP_CIPHER_CTX_free(ctx);
	return ok;
}

void evp_rc4(const EVP_CIPHER *cipher, const u8 *key, unsigned int spent, u8 *buf, unsigned int len)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	u8 waste = 0;
	int n;

	must(ctx && EVP_CipherInit_ex(ctx, cipher, NULL, key, NULL, 1) == 1, "init");
	while (spent--)
		must(EVP_CipherUpdate(ctx, &waste, &n, &waste, 1) == 1, "rc4");
	must(EVP_CipherUpdate(ctx, buf, &n, buf, len) == 1 && n == (int)len, "rc4");
	EVP_CIPHER_CTX_free(ctx);
}

void evp_cbc(const EVP_CIPHER *cipher, bool encrypt, const u8 *key, const u8 *iv, u8 *buf, unsigned int len)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n = 0;

	must(ctx && EVP_CipherInit_ex(ctx, cipher, NULL, key, iv, encrypt) == 1, "init");
	EVP_CIPHER_CTX_set_padding(ctx, 0);
	must(EVP_CipherUpdate(ctx, buf, &n, buf, len) == 1 && n == (int)len, "cbc");
	EVP_CIPHER_CTX_free(ctx);
}
