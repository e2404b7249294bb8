/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The inside of a capture queue, for the files that each do a part of its
 * work: queue.c puts connections in, read.c takes them out, attach.c is about
 * how long it lives.
 */
#ifndef _SSYNCP_QUEUE_H
#define _SSYNCP_QUEUE_H

#include <linux/ptr_ring.h>
#include <linux/wait.h>

#include "module.h"

struct ssyncp_shard {
	struct ptr_ring		ring;
	/* When the reader last saw it empty: bounds the age of what is in. */
	unsigned long		empty_at;
};

struct ssyncp_queue {
	struct net		*net;
	struct ssyncp_net	*sn;
	unsigned int		nr_shards;	/* a power of two */
	unsigned int		watermark;	/* of a shard */
	unsigned long		events;		/* SSYNCP_EVENT_*, atomic */
	int			armed;		/* wake at the watermark */
	bool			master_seen;
	wait_queue_head_t	wait;

	struct mutex		read_mutex;	/* page, next and consuming */
	unsigned int		next;		/* shard to read first */
	void			*page;

	/* Under ssyncp_mutex. */
	unsigned int		linger_ms;
	unsigned long		linger_until;
	bool			lingering;
	struct delayed_work	linger_work;

	struct ssyncp_shard	shards[];
};

struct ssyncp_queue *ssyncp_queue_alloc(struct net *net);
void ssyncp_queue_drain(struct ssyncp_queue *q);
void ssyncp_queue_free(struct ssyncp_queue *q);
void ssyncp_queue_lost(struct ssyncp_queue *q);
bool ssyncp_ring_holds(const struct ptr_ring *r, unsigned int n);

#endif /* _SSYNCP_QUEUE_H */
