/* SPDX-License-Identifier: MIT */
/*
 * Where failures come from, and what must hold when a path through the record
 * layer meets them.  A path is walked once for each failure it can meet: with the
 * first one, the second, and so on, until it gets through without.
 */
#ifndef FAULT_H
#define FAULT_H

#include "../../abi/conn.h"
#include "../../abi/tap.h"

/* Calls of the ciphers that kssl_faulty can make fail, and how. */
enum fault_what { MEMORY, ALLOC, SETKEY, SETAUTHSIZE, ENCRYPT, DECRYPT, BOTH, WORKERS };
enum fault_how { AT_ONCE, LATE, BACKLOG };

/**
 * struct source - a kind of failure
 * @name: for the notes
 * @what: call of a cipher, or MEMORY: of the calling task, or WORKERS: memory of
 *	whoever runs works
 * @how: how it comes
 * @error: errno it comes with, 0: it is only late
 * @fatal: errno the connection may fail with because of it, 0: it must not
 */
struct source {
	const char *name;
	enum fault_what what;
	enum fault_how how;
	int error;
	int fatal;
};

/* Memory and copies from and to user space; memory of works. */
extern const struct source memory, workers;

void fault_arm(const struct source *s, unsigned int nth);
/* Ends it; did it happen? */
int fault_disarm(const struct source *s);
/* Is @error one that @s may lead to? */
void fault_check_errno(const struct source *s, int error);

/* Write a parameter of kssl_faulty, or read one. */
void faulty_set(const char *parameter, int value);
int faulty_get(const char *parameter);
void faulty_off(void);

/* Run one call with the failure; its result, and errno in *@error. */
#define WITH_FAULT(s, nth, hit, call)					\
	({								\
		long result_;						\
		int error_;						\
									\
		fault_arm(s, nth);					\
		result_ = (call);					\
		error_ = errno;						\
		hit = fault_disarm(s);					\
		if (result_ < 0) {					\
			if (!hit)					\
				check_failed(__FILE__, __LINE__, "%s: %s without a fault", \
					     #call, error_name(error_)); \
			fault_check_errno(s, error_);			\
		}							\
		errno = error_;						\
		result_;						\
	})

/* What a walk has met; at least one failure, or it proves nothing. */
void fault_count(const struct source *s, unsigned int faults, unsigned int fatal);

/*
 * Paths; each is walked with all the failures of a source, over the variants it
 * names.  Those that make keys, seal records, open records; the rest of the system
 * calls; and those that works walk.  Those of KeyUpdates meet failures of memory only.
 */
#define KEY_PATHS(P)							\
	P(tx_key, FORMATS) P(rx_key, FORMATS) P(batch_keys, FORMATS)

#define SEAL_PATHS(P)							\
	P(send_small, FORMATS) P(send_large, FORMATS) P(send_vector, FORMATS) \
	P(send_more, FORMATS) P(send_control, FORMATS) P(sendfile, FORMATS) \
	P(splice, FORMATS) P(shutdown, FORMATS) P(close, FORMATS)	\
	P(rekey, FORMATS) P(batch_record, FORMATS) P(batch_behind_more, FORMATS) \
	P(batch_all, FORMATS) P(batch_large, FORMATS) P(batch_fail, FORMATS)

#define OPEN_PATHS(P)							\
	P(recv, FORMATS) P(recv_typed, FORMATS) P(recv_pieces, FORMATS) \
	P(recv_window, FORMATS) P(recv_large, FORMATS) P(peek, FORMATS) \
	P(splice_read, FORMATS) P(poll, FORMATS) P(queued, FORMATS)

#define OTHER_PATHS(P)							\
	P(attach, FORMATS) P(control, FORMATS) P(status, FORMATS) P(suites, FORMATS) \
	P(batch_raw, FORMATS) P(read_raw, FORMATS) P(read_record, FORMATS) \
	P(read_event, FORMATS)

#define WORK_OPEN_PATHS(P)						\
	P(work_record, FORMATS) P(work_lookahead, FORMATS)

#define WORK_SEAL_PATHS(P)						\
	P(work_alert, FORMATS) P(work_close_notify, ONLY_12)

#define WORK_PUSH_PATHS(P)						\
	P(work_push, FORMATS)

#define UPDATE_PATHS(P)							\
	P(update_recv, WITH_SECRETS) P(update_send, WITH_SECRETS)	\
	P(update_batch, WITH_SECRETS) P(orphan, WITH_SECRETS)		\
	P(options, VERSIONS) P(request, VERSIONS)

#define WORK_UPDATE_PATHS(P)						\
	P(work_update, WITH_SECRETS) P(work_orphan, WITH_SECRETS)

/* Sockets that wait for connections or for a helper; failures of memory only. */
#define ARM_PATHS(P)							\
	P(arm, ONCE) P(armed_connect, ONCE) P(armed_poll, ONCE) P(accept, ONCE)	\
	P(ask, ONCE) P(take, ONCE) P(dump, ONCE) P(event, ONCE) P(session, ONCE) \
	P(exporter, ONCE)

/*
 * For walks of works.  One of somebody else may have met the failure, and a worker that the
 * workqueue adds meanwhile is not armed, so a miss is asked for again.
 */
#define EACH_FAULT(nth, misses) for (misses = 0, nth = 1; misses < (hits ? 2 : 10); nth++)

#define DECLARE_PATH(name, over) void path_##name(const struct source *s);
KEY_PATHS(DECLARE_PATH)
SEAL_PATHS(DECLARE_PATH)
OPEN_PATHS(DECLARE_PATH)
OTHER_PATHS(DECLARE_PATH)
WORK_OPEN_PATHS(DECLARE_PATH)
WORK_SEAL_PATHS(DECLARE_PATH)
WORK_PUSH_PATHS(DECLARE_PATH)
UPDATE_PATHS(DECLARE_PATH)
WORK_UPDATE_PATHS(DECLARE_PATH)
ARM_PATHS(DECLARE_PATH)

#endif
