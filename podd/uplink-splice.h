/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Joins two connected TCP sockets in the kernel, by splice(2) through a pipe: no byte passes user
 * space. See the top of uplink-splice.c for the states.
 */

#include <stdbool.h>
#include <stdint.h>

#include "cleanup.h"
#include "err.h"
#include "uplink-loop.h"

/* The pipes of all pairs, and the loop that they live in. */
struct uplink_splice;

enum { SPLICE_POD, SPLICE_HOST };

struct splice_pipe;

/* An end of a pair, and the way that its data takes to the other one. */
struct splice_end {
	struct uplink_watch watch;
	int fd;
	bool watched;   /* in the loop */
	bool readable;  /* as far as is known */
	bool writable;
	bool finishing; /* its FIN is there, or soon: read until the end */
	bool urgent;    /* there is urgent data in its stream */
	bool drained;   /* nothing will come any more */
	bool finished;  /* what came was passed on, and so was the end */
	bool dead;      /* reset, or failed */
	struct splice_pipe *pipe; /* NULL while nothing waits */
	uint32_t held;            /* bytes in it */
	uint64_t bytes;           /* passed on in all */
};

/* Part of whoever has the pair; ends[].bytes may be read at any time. */
struct splice_pair {
	struct uplink_splice *splice;
	struct splice_end ends[2];
	struct uplink_work work;
	struct splice_pair *next_waiting; /* for a pipe */
	struct splice_pair *next_young;
	int64_t born_ms;
	bool waiting;
	bool delayed; /* to be reset, but not yet */
	bool closed;
	/* Called once, at the start of a turn, when both sockets are closed and nothing names the
	 * pair any more. */
	void (*done)(struct splice_pair *pair);
};

/* @pipes_max bounds the pairs whose data can wait at once, for somebody who does not read. */
int uplink_splice_new(struct uplink_loop *loop, unsigned pipes_max,
	struct uplink_splice **ret, struct err *err);
void uplink_splice_free(struct uplink_splice *splice);
CLEANUP_DEFINE(uplink_splice, uplink_splice_free)

/* Puts a socket into the loop that is being connected, where it stays when it is joined; until then
 * @ready has its events, and hands them on by splice_note(). Return: 0 or -errno. */
int uplink_splice_watch(struct uplink_splice *splice, struct splice_end *end, int fd,
	void (*ready)(struct uplink_watch *watch, uint32_t events));
void splice_note(struct splice_end *end, uint32_t events);
/* Before its socket is closed without having been joined. That takes it out of the loop, unless somebody
 * else holds it: a socket of the pod's netns is to be removed first. */
void splice_forget(struct splice_end *end);

/* Takes over both sockets (connected, non-blocking) on success. @pair is all zero, but for an end
 * that is watched. Return: 0 or -errno. */
int uplink_splice_join(struct uplink_splice *splice, struct splice_pair *pair, int pod, int host,
	void (*done)(struct splice_pair *pair));
/* That end was reset before it was joined, which its socket has told already. */
void uplink_splice_mark_reset(struct splice_pair *pair, int end);
/* Resets both connections. */
void uplink_splice_cut(struct splice_pair *pair);

/* Closes a connection so that its peer is told of a failure, not of an end. */
void splice_reset(int fd);

/* Gives back the pipes that nobody uses. To be called now and then: who found neither a pipe nor
 * room for one tries again. */
void uplink_splice_trim(struct uplink_splice *splice);
