// SPDX-License-Identifier: MIT
/*
 * Batches of the control file, before any of their effects: the parser of control.c, cut out of it by the Makefile,
 * gives the verdict of one written from the header.
 */
#include "evp.h"
#include "input.h"
#include "parser.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t len);

#define BATCH_MAX	(48 * 1024)

/* SSL 3.0; RC4 and what was exported, DES, RC4 by ECDHE. */
static bool is_locked(const struct kssl_key *key)
{
	return key->version == 0x0300 || (key->suite >= 3 && key->suite <= 9) || key->suite == 0x14 ||
	       key->suite == 0x15 || key->suite == 0xc007 || key->suite == 0xc011;
}

/* struct kssl_key as it came: 0 or the errno that the header promises. */
static int key_verdict(const u8 *payload, u32 len)
{
	const struct kssl_suite *suite;
	struct kssl_key key = {};
	u32 size, i;
	bool cbc;

	if (len < sizeof(size))
		return -EINVAL;
	memcpy(&size, payload, sizeof(size));
	if (size != len)
		return -EINVAL;
	for (i = sizeof(key); i < len; i++)
		if (payload[i])
			return -E2BIG;
	memcpy(&key, payload, len < sizeof(key) ? len : sizeof(key));
	suite = kssl_suite_find(key.suite, key.version);
	if (!suite)
		return -EOPNOTSUPP;
	cbc = suite->cipher->hash && suite->cipher->explicit_len;
	if (!kssl_legacy && is_locked(&key))
		return -EPERM;
	if (key.reserved || key.flags > KSSL_KEY_ETM || (key.flags && (!cbc || key.version == 0x0300)))
		return -EINVAL;
	if (key.key_len != suite->cipher->key_len || key.iv_len != kssl_suite_iv_len(suite) ||
	    key.mac_key_len != kssl_suite_mac_key_len(suite) || key.seq == UINT64_MAX)
		return -EINVAL;
	if (suite->cipher->hash && !cbc && key.nonce > KSSL_RC4_SPENT_MAX)
		return -EINVAL;
	if (key.reserved2 || key.reserved3)
		return -EINVAL;
	if (key.max_payload && (key.max_payload < 63 || key.max_payload > 16384))
		return -EINVAL;
	if (key.secret_len && suite->version != 0x0304)
		return -EINVAL;
	if (key.secret_len && (suite->id == 0x00c6 || suite->id == 0x00c7))
		return -EOPNOTSUPP;
	if (key.secret_len && key.secret_len != (suite->id == 0x1302 ? 48 : 32))
		return -EINVAL;
	return evp_find(suite->cipher) ? 0 : -ENOPKG;
}

static int error_verdict(const u8 *payload, size_t len)
{
	struct kssl_error error = {};
	u32 size = 0;
	size_t i;

	memcpy(&size, payload, len < 4 ? len : 4);
	if (len < 4 || size != len)
		return -EINVAL;
	for (i = sizeof(error); i < len; i++)
		if (payload[i])
			return -E2BIG;
	memcpy(&error, payload, len < sizeof(error) ? len : sizeof(error));
	return error.err > 0 && error.err < 4096 ? 0 : -EINVAL;
}

static int op_verdict(const struct kssl_op *op, const u8 *payload, bool last, unsigned int *keys)
{
	if (op->flags)
		return -EINVAL;
	switch (op->op) {
	case KSSL_OP_HOLD:
	case KSSL_OP_RELEASE:
	case KSSL_OP_CONTINUE:
	case KSSL_OP_ESTABLISHED:
	case KSSL_OP_DONE:
	case KSSL_OP_AWAIT:
	case KSSL_OP_IDENTITY:
		return op->type || op->len ? -EINVAL : 0;
	case KSSL_OP_KEY_UPDATE:
		return op->type || op->len != 1 || payload[0] > 1 ? -EINVAL : 0;
	case KSSL_OP_RESULT:
		return op->type || op->len != sizeof(struct kssl_result) ? -EINVAL : 0;
	case KSSL_OP_SESSION:
		return op->type || op->len < 4 || op->len > 4096 ? -EINVAL : 0;
	case KSSL_OP_PEER_CHAIN:
		return op->type || op->len > 65536 ? -EINVAL : 0;
	case KSSL_OP_EXPORTER:
		return op->type || op->len < 1 || op->len > 1024 ? -EINVAL : 0;
	case KSSL_OP_RAW:
		return op->type || !op->len ? -EINVAL : 0;
	case KSSL_OP_RECORD:
		if (op->len < 1 || op->len > 16384)
			return -EINVAL;
		return op->type == 20 || op->type == 21 || op->type == 22 ? 0 : -EINVAL;
	case KSSL_OP_TX_KEY:
	case KSSL_OP_RX_KEY:
		if (op->type || !op->len || (*keys)++ == 8)
			return -EINVAL;
		return key_verdict(payload, op->len);
	case KSSL_OP_FAIL:
		return op->type || !last ? -EINVAL : error_verdict(payload, op->len);
	default:
		return -EINVAL;
	}
}

static int verdict(const u8 *data, size_t len)
{
	unsigned int keys = 0;
	struct kssl_op op;
	size_t at = 0;
	int ret;

	while (at < len) {
		if (len - at < sizeof(op))
			return -EINVAL;
		memcpy(&op, data + at, sizeof(op));
		at += sizeof(op);
		if (op.len > len - at)
			return -EINVAL;
		ret = op_verdict(&op, data + at, at + op.len == len, &keys);
		if (ret)
			return ret;
		at += op.len;
	}
	return 0;
}

/* A key that may be right, but for what the input does to it. */
static unsigned int write_key(struct input *in, u8 *to)
{
	u16 id = input_number(in, 2), version = input_number(in, 2);
	const struct kssl_suite *suite = kssl_suite_find(id, version);
	unsigned int damage = input_number(in, 1) % 4, len = sizeof(struct kssl_key), at;
	struct kssl_key key = { .version = version, .suite = id };
	u8 by;

	if (!suite)
		suite = &kssl_suites[id % kssl_suites_count];
	if (version & 1) {
		key.suite = suite->id;
		key.version = suite->version;
	}
	key.flags = suite->cipher->hash && (version & 2) ? KSSL_KEY_ETM : 0;
	key.key_len = suite->cipher->key_len;
	key.iv_len = kssl_suite_iv_len(suite);
	key.mac_key_len = kssl_suite_mac_key_len(suite);
	if (version & 4)
		key.secret_len = suite->id == 0x1302 ? 48 : suite->version == 0x0304 ? 32 : 0;
	if (input_number(in, 1) & 1)
		len = input_number(in, 1);
	key.size = len;
	memset(to, 0, 256);
	memcpy(to, &key, sizeof(key));
	while (damage--) {
		at = input_number(in, 1);
		by = input_number(in, 1);
		to[at] ^= by;
	}
	return len;
}

/* Likewise an error. */
static unsigned int write_error(struct input *in, u8 *to)
{
	unsigned int len = sizeof(struct kssl_error);
	struct kssl_error error = {};

	if (input_number(in, 1) & 1)
		len = input_number(in, 1);
	error.size = len;
	error.err = (int16_t)input_number(in, 2);
	memset(to, 0, 256);
	memcpy(to, &error, sizeof(error));
	if (len > sizeof(error))
		to[len - 1] = input_number(in, 1) & 1;
	return len;
}

static size_t write_batch(struct input *in, u8 *to)
{
	size_t at = 0;

	while (in->len && at < BATCH_MAX - 20000) {
		struct kssl_op op = { .op = input_number(in, 1) % 20 };
		u8 how = input_number(in, 1);
		u8 *payload = to + at + sizeof(op);

		if (op.op == KSSL_OP_TX_KEY || op.op == KSSL_OP_RX_KEY)
			op.len = write_key(in, payload);
		else if (op.op == KSSL_OP_RAW || op.op == KSSL_OP_RECORD)
			op.len = input_number(in, 2) % 17000;
		else if (op.op == KSSL_OP_FAIL)
			op.len = write_error(in, payload);
		else if (op.op == KSSL_OP_KEY_UPDATE)
			op.len = 1;
		else if (op.op == KSSL_OP_RESULT)
			op.len = sizeof(struct kssl_result);
		else if (op.op == KSSL_OP_SESSION || op.op == KSSL_OP_PEER_CHAIN)
			op.len = input_number(in, 2) % 5000;
		else if (op.op == KSSL_OP_EXPORTER)
			op.len = input_number(in, 2) % 1100;
		if (op.op == KSSL_OP_RECORD)
			op.type = KSSL_TYPE_CHANGE_CIPHER_SPEC + how % 4;
		at += sizeof(op) + op.len;
		if (how & 0x80)
			op.len += (int8_t)input_number(in, 1);
		if (how & 0x40)
			op.type += input_number(in, 1);
		if (how & 0x20)
			op.flags = input_number(in, 1);
		memcpy(payload - sizeof(op), &op, sizeof(op));
	}
	return at;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	static u8 made[BATCH_MAX];
	struct input in = { data, len };
	struct batch b = {};
	const u8 *payload;
	struct kssl_op op;
	size_t pos = 0, sum = 0;
	unsigned int i;
	u8 *exact, how;
	int ret;

	how = input_number(&in, 1);
	kssl_legacy = how & 2;
	if (how & 1) {
		b.len = min_t(size_t, in.len, sizeof(made));
		input_bytes(&in, made, b.len);
	} else {
		memset(made, 0, sizeof(made));
		b.len = write_batch(&in, made);
	}
	exact = malloc(b.len);
	memcpy(exact, made, b.len);
	b.data = exact;

	ret = prepare(&b);
	must(ret == verdict(exact, b.len));
	must(b.epochs_count <= BATCH_KEYS);
	/* The walks that follow see the same ops, and all of them. */
	while (!ret && next_op(&b, &pos, &op, &payload) > 0) {
		must(payload == exact + sum + sizeof(op));
		sum += sizeof(op) + op.len;
	}
	must(ret || sum == b.len);
	for (i = 0; i < b.epochs_count; i++)
		kssl_epoch_put(b.epochs[i]);
	free(exact);
	return 0;
}
