// SPDX-License-Identifier: MIT
/* A wrong key at the hand-over is found before the kernel sees any. */
#include <stdlib.h>
#include <string.h>
#include "link.h"

/* For tests of libkssl only, so in no public header: userspace/lib/engine.h */
void kssl_engine_test_corrupt_key(int direction);

static struct link l;

static void refused(int direction)
{
	struct peer_setup setup = usual_peer();
	struct kssl_config *config = link_config(v->server ? "ecdsa" : NULL);
	struct kssl_status status;

	link_tcp(&l, &setup);
	kssl_engine_test_corrupt_key(direction);
	CHECK(!link_handshake(&l, config, "localhost"));
	EQ(errno, EIO);
	note("%s", kssl_error(NULL));
	kssl_config_free(config);

	/* No key, nothing but the plain phase, and the error on record. */
	status = link_status(&l);
	EQ(status.tx.epoch, 0);
	EQ(status.rx.epoch, 0);
	EQ(status.tx.bytes, 0);
	EQ(status.rx.bytes, 0);
	EQ(status.tx.state, KSSL_STATE_FAILED);
	EQ(link_error(&l).err, EIO);
	EQ(link_error(&l).who, KSSL_WHO_HELPER);
	peer_kill(&l.peer);
}

static void sending(void)
{
	refused(1);
}

static void receiving(void)
{
	refused(2);
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		{ "a wrong key for sending", OVER_STACKS | OVER_ROLES | OVER_VERSIONS, sending },
		{ "a wrong key for receiving", OVER_STACKS | OVER_ROLES | OVER_VERSIONS, receiving },
		{ 0 },
	};

	return tap_main(argc, argv, tests);
}
