/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The inside of a capture queue, for the files that each do a part of its
 * work: queue.c puts connections in, read.c takes them out, attach.c is about
 * how long it lives.
 */
#ifndef _SSYNCP_QUEUE_H
#define _SSYNCP_QUEUE_H

#include <linux/log2.h>
#include <linux/ptr_ring.h>
#include <linux/wait.h>

#include "module.h"

struct ssyncp_shard {
	struct ptr_ring		ring;
	unsigned int		half;		/* of its slots */
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
void ssyncp_queue_wake(struct ssyncp_queue *q);
void ssyncp_queue_lost(struct ssyncp_queue *q);
void ssyncp_queue_dropped(struct ssyncp_queue *q, bool opening);
void ssyncp_queue_master(struct ssyncp_queue *q, bool running);

/*
 * At least n slots are taken: the one n behind the producer is. Exact but for
 * the last few slots that the consumer clears in batches. Under
 * producer_lock, or as a hint.
 */
static inline bool ssyncp_ring_holds(const struct ptr_ring *r, unsigned int n)
{
	int slot = READ_ONCE(r->producer) - (int)n;

	if (slot < 0)
		slot += r->size;
	return READ_ONCE(r->queue[slot]);
}

/* As select_master_thread_id() in ip_vs: neighbours differ above this bit. */
static inline struct ssyncp_shard *
ssyncp_queue_shard(struct ssyncp_queue *q, const struct ip_vs_conn *cp)
{
	unsigned long key = (unsigned long)cp >> (1 + ilog2(sizeof(*cp)));

	return &q->shards[key & (q->nr_shards - 1)];
}

/*
 * Put cp into the queue, with a reference of its own. The caller holds
 * cp->lock, a reference (or, to a template, one of its connections, so that it
 * stays hashed) and the RCU read lock. What is only opening may use
 * half of the queue, and is no loss: a SYN flood cannot keep out or drown an
 * established connection. In the packet path, hence inline.
 */
static inline bool ssyncp_queue_push(struct ssyncp_queue *q,
				     struct ip_vs_conn *cp, bool opening)
{
	struct ssyncp_shard *shard = ssyncp_queue_shard(q, cp);
	struct ptr_ring *r = &shard->ring;
	bool wake = false;
	int err = -ENOSPC;

	spin_lock(&r->producer_lock);
	if (!opening || !ssyncp_ring_holds(r, shard->half)) {
		err = __ptr_ring_produce(r, cp);
		wake = READ_ONCE(q->armed) &&
		       ssyncp_ring_holds(r, READ_ONCE(q->watermark));
	}
	spin_unlock(&r->producer_lock);

	if (unlikely(err)) {
		ssyncp_queue_dropped(q, opening);
		return false;
	}
	/*
	 * The caller or the table has a reference: it is not zero. The reader
	 * may have cp already; it gives this one back only behind cp->lock,
	 * which the caller holds.
	 */
	refcount_inc(&cp->refcnt);
	ssyncp_count(q->sn, QUEUED);
	if (unlikely(wake))
		ssyncp_queue_wake(q);
	return true;
}

#endif /* _SSYNCP_QUEUE_H */
