// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dirty connections between the packet path and the reader.
 *
 * The queue holds pointers, each with a reference to its connection, and a
 * connection at most once: DIRTY says that it is in. The record is made when
 * the reader comes, of the state of that moment, so what happened in between
 * is merged, and order within a connection cannot go wrong.
 *
 * Locks: producers nest the ring's producer_lock in cp->lock. The reader
 * needs no lock of the ring: read_mutex makes it the only consumer.
 */
#include <linux/poll.h>
#include <linux/slab.h>

#include "queue.h"

#define SSYNCP_SHARDS_MAX	16

static void ssyncp_queue_notify(struct ssyncp_queue *q)
{
	ssyncp_count(q->sn, WAKEUPS);
	wake_up_interruptible_poll(&q->wait, EPOLLIN | EPOLLRDNORM);
}

/* The watermark was reached: wake the reader, once until it has read. */
void ssyncp_queue_wake(struct ssyncp_queue *q)
{
	if (xchg(&q->armed, 0))
		ssyncp_queue_notify(q);
}

static void ssyncp_queue_raise(struct ssyncp_queue *q, u32 event)
{
	if (!test_and_set_bit(ilog2(event), &q->events))
		ssyncp_queue_notify(q);
}

void ssyncp_queue_lost(struct ssyncp_queue *q)
{
	if (test_bit(ilog2(SSYNCP_EVENT_LOST), &q->events))
		return;
	ssyncp_count(q->sn, LOST_EVENTS);
	ssyncp_queue_raise(q, SSYNCP_EVENT_LOST);
}

/* There was no room for a connection. */
void ssyncp_queue_dropped(struct ssyncp_queue *q, bool opening)
{
	if (opening) {
		ssyncp_count(q->sn, DROPPED_NEW);
	} else {
		ssyncp_count(q->sn, DROPPED_FULL);
		ssyncp_queue_lost(q);
	}
}

/* The in-kernel master was seen to run, or to have stopped. */
void ssyncp_queue_master(struct ssyncp_queue *q, bool running)
{
	if (READ_ONCE(q->master_seen) == running)
		return;
	WRITE_ONCE(q->master_seen, running);
	ssyncp_count(q->sn, MASTER_EVENTS);
	if (running) {
		ssyncp_queue_raise(q, SSYNCP_EVENT_MASTER_RUNNING);
	} else {
		ssyncp_queue_raise(q, SSYNCP_EVENT_MASTER_STOPPED);
		ssyncp_queue_lost(q);
	}
}

void ssyncp_queue_free(struct ssyncp_queue *q)
{
	unsigned int i;

	for (i = 0; i < q->nr_shards; i++)
		ptr_ring_cleanup(&q->shards[i].ring, NULL);
	free_page((unsigned long)q->page);
	kfree(q);
}

/* Nobody pushes or reads any more: give the references back. */
void ssyncp_queue_drain(struct ssyncp_queue *q)
{
	struct ip_vs_conn *cp;
	unsigned int i;

	for (i = 0; i < q->nr_shards; i++) {
		while ((cp = __ptr_ring_peek(&q->shards[i].ring))) {
			__ptr_ring_discard_one(&q->shards[i].ring);
			spin_lock_bh(&cp->lock);
			/* Not told after all: the next packet is news. */
			cp->old_state &= ~SSYNCP_DIRTY;
			cp->sync_endtime = jiffies;
			spin_unlock_bh(&cp->lock);
			__ip_vs_conn_put(cp);
			ssyncp_count(q->sn, DROPPED_DRAINED);
			cond_resched();
		}
	}
}

struct ssyncp_queue *ssyncp_queue_alloc(struct net *net)
{
	unsigned int i, size, shards;
	struct ssyncp_queue *q;

	shards = min_t(unsigned int, SSYNCP_SHARDS_MAX,
		       roundup_pow_of_two(num_online_cpus()));
	size = clamp_t(unsigned int, READ_ONCE(ssyncp_queue_len), 64, 1 << 24);
	/* More than that a ring cannot be. */
	size = min_t(unsigned int, DIV_ROUND_UP(size, shards),
		     KMALLOC_MAX_SIZE / sizeof(void *));

	q = kzalloc(struct_size(q, shards, shards), GFP_KERNEL_ACCOUNT);
	if (!q)
		return NULL;
	q->page = (void *)__get_free_page(GFP_KERNEL_ACCOUNT);
	if (!q->page)
		goto err_free;
	for (i = 0; i < shards; i++) {
		if (ptr_ring_init(&q->shards[i].ring, size,
				  GFP_KERNEL_ACCOUNT))
			goto err_free;
		q->nr_shards = i + 1;
		q->shards[i].half = size / 2;
		q->shards[i].empty_at = jiffies;
	}
	q->net = net;
	q->sn = ssyncp_net(net);
	q->armed = 1;
	init_waitqueue_head(&q->wait);
	mutex_init(&q->read_mutex);
	return q;

err_free:
	ssyncp_queue_free(q);
	return NULL;
}
