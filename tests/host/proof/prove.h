/* SPDX-License-Identifier: MIT */
/* For Frama-C: values of which nothing is known but their range, and what has to hold whatever they are. */
#ifndef PROVE_H
#define PROVE_H

#include <__fc_builtin.h>
#include "record.h"

/*@ requires proven: fact == 1; assigns \nothing; */
void prove(bool fact);

/*@ requires set: \valid_read(p + (0 .. len - 1)) && \initialized(p + (0 .. len - 1)); assigns \nothing; */
void read_octets(const u8 *p, unsigned int len);

#define any(low, high)	((u32)Frama_C_unsigned_int_interval(low, high))
#define any_octets(to, len)	Frama_C_make_unknown((char *)(to), len)

#endif
