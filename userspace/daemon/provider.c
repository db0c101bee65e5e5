// SPDX-License-Identifier: MIT
/*
 * A provider for OpenSSL, of keys whose private half is in the key process: it signs and
 * takes premaster secrets out of their encryption, both by keys_call(), and no more.
 *
 * It is in a library context of its own, so that only these keys ever find it.  Of the
 * public half OpenSSL's own provider knows all.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>

#include "kssld.h"

#define HANDLE		"kssld-handle"

/**
 * struct remote - a key
 * @type: its name at OpenSSL
 * @keys: where its private half is, NULL: it has none
 * @index: its number there
 * @public: the other half
 */
struct remote {
	const char *type;
	struct keys *keys;
	uint32_t index;
	EVP_PKEY *public;
};

/**
 * struct operation - something to be done with a key
 * @key: which one
 * @md: digest, NULL: none
 * @padding: RSA_*
 * @client_version: that a premaster secret has to begin with
 * @other_version: that it may begin with, too; 0: none
 */
struct operation {
	const struct remote *key;
	EVP_MD *md;
	int padding;
	unsigned int client_version;
	unsigned int other_version;
};

static const OSSL_PARAM none[] = { OSSL_PARAM_END };

/* ---- keys ---- */

static struct remote *new_key(const char *type)
{
	struct remote *key = calloc(1, sizeof(*key));

	if (key)
		key->type = type;
	return key;
}

static void *new_rsa(void *ctx)
{
	(void)ctx;
	return new_key("RSA");
}

static void *new_ec(void *ctx)
{
	(void)ctx;
	return new_key("EC");
}

static void *new_ed25519(void *ctx)
{
	(void)ctx;
	return new_key("ED25519");
}

static void free_key(void *data)
{
	struct remote *key = data;

	EVP_PKEY_free(key->public);
	free(key);
}

static int has(const void *data, int selection)
{
	const struct remote *key = data;

	return key->public && (key->keys || !(selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY));
}

static int match(const void *data, const void *other, int selection)
{
	(void)selection;
	return EVP_PKEY_eq(((const struct remote *)data)->public, ((const struct remote *)other)->public) == 1;
}

/* By provider_key(); or the public half of one of OpenSSL's, to be compared. */
static int import(void *data, int selection, const OSSL_PARAM *params)
{
	const OSSL_PARAM *handle = OSSL_PARAM_locate_const(params, HANDLE);
	struct remote *key = data;
	EVP_PKEY_CTX *ctx;
	int ok;

	(void)selection;
	if (handle) {
		const struct remote *from = handle->data;

		key->keys = from->keys;
		key->index = from->index;
		key->public = from->public;
		return EVP_PKEY_up_ref(key->public);
	}
	ctx = EVP_PKEY_CTX_new_from_name(NULL, key->type, NULL);
	ok = ctx && EVP_PKEY_fromdata_init(ctx) == 1 &&
	     EVP_PKEY_fromdata(ctx, &key->public, EVP_PKEY_PUBLIC_KEY, (OSSL_PARAM *)params) == 1;
	EVP_PKEY_CTX_free(ctx);
	return ok;
}

static const OSSL_PARAM *import_types(int selection)
{
	(void)selection;
	return none;
}

static int get_params(void *data, OSSL_PARAM *params)
{
	return EVP_PKEY_get_params(((const struct remote *)data)->public, params);
}

static const OSSL_PARAM *gettable_params(void *ctx)
{
	static const OSSL_PARAM params[] = {
		OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_END
	};

	(void)ctx;
	return params;
}

static const char *ec_operation(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? "ECDSA" : NULL;
}

#define FN(number, function)	{ number, (void (*)(void))(function) }
/* It cannot be exported, and so stays with this provider. */
#define KEY_FUNCTIONS						\
	FN(OSSL_FUNC_KEYMGMT_FREE, free_key),			\
	FN(OSSL_FUNC_KEYMGMT_HAS, has),				\
	FN(OSSL_FUNC_KEYMGMT_MATCH, match),			\
	FN(OSSL_FUNC_KEYMGMT_IMPORT, import),			\
	FN(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, import_types),	\
	FN(OSSL_FUNC_KEYMGMT_GET_PARAMS, get_params),		\
	FN(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, gettable_params)

static const OSSL_DISPATCH rsa_functions[] = {
	FN(OSSL_FUNC_KEYMGMT_NEW, new_rsa), KEY_FUNCTIONS, { 0, NULL }
};

static const OSSL_DISPATCH ec_functions[] = {
	FN(OSSL_FUNC_KEYMGMT_NEW, new_ec), KEY_FUNCTIONS,
	FN(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, ec_operation), { 0, NULL }
};

static const OSSL_DISPATCH ed25519_functions[] = {
	FN(OSSL_FUNC_KEYMGMT_NEW, new_ed25519), KEY_FUNCTIONS, { 0, NULL }
};

static const OSSL_ALGORITHM keymgmts[] = {
	{ "RSA:rsaEncryption:1.2.840.113549.1.1.1", "provider=kssld", rsa_functions, NULL },
	{ "EC:id-ecPublicKey:1.2.840.10045.2.1", "provider=kssld", ec_functions, NULL },
	{ "ED25519:1.3.101.112", "provider=kssld", ed25519_functions, NULL },
	{ NULL, NULL, NULL, NULL }
};

/* ---- operations ---- */

static void *new_operation(void)
{
	struct operation *op = calloc(1, sizeof(*op));

	if (op)
		op->padding = RSA_PKCS1_PADDING;
	return op;
}

static void *new_signature(void *ctx, const char *properties)
{
	(void)ctx;
	(void)properties;
	return new_operation();
}

static void *new_cipher(void *ctx)
{
	(void)ctx;
	return new_operation();
}

static void free_operation(void *ctx)
{
	struct operation *op = ctx;

	EVP_MD_free(op->md);
	free(op);
}

static int read_padding(const OSSL_PARAM *p, int *padding)
{
	if (p->data_type != OSSL_PARAM_UTF8_STRING)
		return OSSL_PARAM_get_int(p, padding);
	*padding = !strcmp(p->data, OSSL_PKEY_RSA_PAD_MODE_PSS) ? RSA_PKCS1_PSS_PADDING :
		   !strcmp(p->data, OSSL_PKEY_RSA_PAD_MODE_PKCSV15) ? RSA_PKCS1_PADDING : 0;
	return *padding;
}

/* TLS has salts as long as the digest (RFC 8446 4.2.3). */
static int is_digest_long(const OSSL_PARAM *p)
{
	int len = 0;

	if (p->data_type == OSSL_PARAM_UTF8_STRING)
		return !strcmp(p->data, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST) || !strcmp(p->data, "-1");
	return OSSL_PARAM_get_int(p, &len) && len == RSA_PSS_SALTLEN_DIGEST;
}

static int set_operation(void *ctx, const OSSL_PARAM *params)
{
	struct operation *op = ctx;
	const OSSL_PARAM *p;

	for (p = params; p && p->key; p++)
		if ((!strcmp(p->key, OSSL_PKEY_PARAM_PAD_MODE) && !read_padding(p, &op->padding)) ||
		    (!strcmp(p->key, OSSL_SIGNATURE_PARAM_PSS_SALTLEN) && !is_digest_long(p)) ||
		    (!strcmp(p->key, OSSL_ASYM_CIPHER_PARAM_TLS_CLIENT_VERSION) &&
		     !OSSL_PARAM_get_uint(p, &op->client_version)) ||
		    (!strcmp(p->key, OSSL_ASYM_CIPHER_PARAM_TLS_NEGOTIATED_VERSION) &&
		     !OSSL_PARAM_get_uint(p, &op->other_version)))
			return 0;
	return 1;
}

static const OSSL_PARAM *settable(void *ctx, void *provider)
{
	static const OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_PAD_MODE, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
		OSSL_PARAM_uint(OSSL_ASYM_CIPHER_PARAM_TLS_CLIENT_VERSION, NULL),
		OSSL_PARAM_uint(OSSL_ASYM_CIPHER_PARAM_TLS_NEGOTIATED_VERSION, NULL),
		OSSL_PARAM_END
	};

	(void)ctx;
	(void)provider;
	return params;
}

static int begin_sign(void *ctx, const char *md, void *data, const OSSL_PARAM *params)
{
	struct operation *op = ctx;
	const struct remote *key = data ? data : op->key;

	if (!key || !key->keys)
		return 0;
	op->key = key;
	EVP_MD_free(op->md);
	op->md = md && md[0] ? EVP_MD_fetch(NULL, md, NULL) : NULL;
	/* Only Ed25519 has none. */
	return !op->md == !strcmp(key->type, "ED25519") && set_operation(op, params);
}

static int sign(void *ctx, unsigned char *sig, size_t *len, size_t size, const unsigned char *text,
		size_t text_len)
{
	const struct operation *op = ctx;
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int digest_len;
	int ret;

	*len = EVP_PKEY_get_size(op->key->public);
	if (!sig)
		return 1;
	if (op->md) {
		if (!EVP_Digest(text, text_len, digest, &digest_len, op->md, NULL))
			return 0;
		text = digest;
		text_len = digest_len;
	}
	ret = keys_call(op->key->keys, op->key->index, KEYS_SIGN,
			KEYS_ARG(op->md ? EVP_MD_get_type(op->md) : 0, op->padding), text, text_len, sig, size);
	*len = ret > 0 ? ret : 0;
	return ret > 0;
}

static int begin_decrypt(void *ctx, void *data, const OSSL_PARAM *params)
{
	struct operation *op = ctx;

	op->key = data;
	return op->key && op->key->keys && set_operation(op, params);
}

/*
 * Nothing but a premaster secret of TLS (RFC 5246 7.4.7.1).  The key process looks at the
 * padding, in constant time, and answers with 48 octets whatever it finds.
 */
static int decrypt(void *ctx, unsigned char *out, size_t *len, size_t size, const unsigned char *in,
		   size_t in_len)
{
	const struct operation *op = ctx;
	int ret;

	*len = SSL_MAX_MASTER_KEY_LENGTH;
	if (!out)
		return 1;
	if (op->padding != RSA_PKCS1_WITH_TLS_PADDING || size < SSL_MAX_MASTER_KEY_LENGTH)
		return 0;
	ret = keys_call(op->key->keys, op->key->index, KEYS_PREMASTER,
			KEYS_ARG(op->client_version, op->other_version), in, in_len, out, SSL_MAX_MASTER_KEY_LENGTH);
	return ret == SSL_MAX_MASTER_KEY_LENGTH;
}

static const OSSL_DISPATCH signature_functions[] = {
	FN(OSSL_FUNC_SIGNATURE_NEWCTX, new_signature),
	FN(OSSL_FUNC_SIGNATURE_FREECTX, free_operation),
	FN(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, begin_sign),
	FN(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, sign),
	FN(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, set_operation),
	FN(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, settable),
	{ 0, NULL }
};

static const OSSL_DISPATCH cipher_functions[] = {
	FN(OSSL_FUNC_ASYM_CIPHER_NEWCTX, new_cipher),
	FN(OSSL_FUNC_ASYM_CIPHER_FREECTX, free_operation),
	FN(OSSL_FUNC_ASYM_CIPHER_DECRYPT_INIT, begin_decrypt),
	FN(OSSL_FUNC_ASYM_CIPHER_DECRYPT, decrypt),
	FN(OSSL_FUNC_ASYM_CIPHER_SET_CTX_PARAMS, set_operation),
	FN(OSSL_FUNC_ASYM_CIPHER_SETTABLE_CTX_PARAMS, settable),
	{ 0, NULL }
};

static const OSSL_ALGORITHM signatures[] = {
	{ "RSA:rsaEncryption:1.2.840.113549.1.1.1", "provider=kssld", signature_functions, NULL },
	{ "ECDSA", "provider=kssld", signature_functions, NULL },
	{ "ED25519:1.3.101.112", "provider=kssld", signature_functions, NULL },
	{ NULL, NULL, NULL, NULL }
};

static const OSSL_ALGORITHM ciphers[] = {
	{ "RSA:rsaEncryption:1.2.840.113549.1.1.1", "provider=kssld", cipher_functions, NULL },
	{ NULL, NULL, NULL, NULL }
};

/* ---- the provider ---- */

static const OSSL_ALGORITHM *query(void *ctx, int operation, int *no_cache)
{
	(void)ctx;
	*no_cache = 0;
	switch (operation) {
	case OSSL_OP_KEYMGMT:
		return keymgmts;
	case OSSL_OP_SIGNATURE:
		return signatures;
	case OSSL_OP_ASYM_CIPHER:
		return ciphers;
	default:
		return NULL;
	}
}

static const OSSL_DISPATCH provider_functions[] = {
	FN(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query), { 0, NULL }
};

static int init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out, void **ctx)
{
	(void)in;
	*out = provider_functions;
	/* What it is does not matter, but it has to be something. */
	*ctx = (void *)handle;
	return 1;
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static OSSL_LIB_CTX *context;

static void make_context(void)
{
	OSSL_LIB_CTX *ctx = OSSL_LIB_CTX_new();

	if (ctx && OSSL_PROVIDER_add_builtin(ctx, "kssld", init) && OSSL_PROVIDER_load(ctx, "kssld"))
		context = ctx;
	else
		OSSL_LIB_CTX_free(ctx);
}

/**
 * provider_key() - something that OpenSSL takes for a private key
 * @keys: key process; must outlive what is returned
 * @index: its number there
 * @public: the other half
 *
 * Return: the key, or NULL, if it is of no type that can be kept so, or there is no memory.
 */
EVP_PKEY *provider_key(struct keys *keys, uint32_t index, EVP_PKEY *public)
{
	struct remote handle = { .keys = keys, .index = index, .public = public };
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(HANDLE, &handle, sizeof(handle)), OSSL_PARAM_construct_end(),
	};
	const char *type = EVP_PKEY_get0_type_name(public);
	EVP_PKEY *pkey = NULL;
	EVP_PKEY_CTX *ctx;

	pthread_once(&once, make_context);
	ctx = context && type ? EVP_PKEY_CTX_new_from_name(context, type, NULL) : NULL;
	if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 || EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_KEYPAIR, params) != 1)
		pkey = NULL;
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}
