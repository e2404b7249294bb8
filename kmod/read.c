// SPDX-License-Identifier: GPL-2.0-only
/*
 * The reader's side of a queue: records of what is in, with the controllers
 * of each connection before it, and the events.
 */
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "queue.h"
#include "told.h"

/* A waiting reader looks again this often: the packet path wakes it late. */
#define SSYNCP_READ_PERIOD	(HZ / 10)
/* Connections between two looks at the scheduler: most may yield no record. */
#define SSYNCP_FILL_MAX		256

/* What is counted while the page is filled: added up once. */
struct ssyncp_tally {
	unsigned int	records;
	unsigned int	closing;
	unsigned int	persist;
};

/* Must peers be told of a controller, as a connection of it is told of? */
static bool ssyncp_controller_due(const struct ip_vs_conn *ctl)
{
	u16 marks = ctl->old_state;

	if (ssyncp_conn_invalid(ctl))
		return false;
	return (marks & (SSYNCP_KNOWN | SSYNCP_STATE_MASK)) !=
	       (SSYNCP_KNOWN | ctl->state) ||
	       time_after_eq(jiffies, ctl->sync_endtime);
}

/* Records of the controllers of cp, the template first. */
static noinline size_t ssyncp_emit_controllers(struct ip_vs_conn *cp, void *buf,
					       struct ssyncp_tally *tally)
{
	struct ip_vs_conn *chain[2], *ctl = cp->control;
	const struct ssyncp_seq_option *nfct;
	struct ssyncp_seq_option seq;
	unsigned long age;
	size_t len = 0;
	int n = 0;

	/* Pinned by n_control for as long as we hold cp. */
	for (; ctl && n < (int)ARRAY_SIZE(chain); ctl = ctl->control)
		chain[n++] = ctl;

	while (n--) {
		ctl = chain[n];
		nfct = ssyncp_nfct_seq(ctl, &seq);
		spin_lock(&ctl->lock);
		if (ssyncp_controller_due(ctl)) {
			age = ssyncp_conn_age(ctl);
			len += ssyncp_record_build(buf + len, ctl, age, nfct);
			/* DIRTY stays: its slot in the queue is its own. */
			ssyncp_conn_tell(ctl, age);
			tally->records++;
		}
		spin_unlock(&ctl->lock);
	}
	return len;
}

/*
 * The records of one dirty connection; drops the queue's reference. With
 * bottom halves disabled.
 */
static size_t ssyncp_emit(struct ip_vs_conn *cp, unsigned long age_max,
			  void *buf, struct ssyncp_tally *tally)
{
	const struct ssyncp_seq_option *nfct;
	struct ssyncp_seq_option seq;
	unsigned long age;
	size_t len = 0;

	if (unlikely(cp->control))
		len = ssyncp_emit_controllers(cp, buf, tally);

	spin_lock(&cp->lock);
	cp->old_state &= ~SSYNCP_DIRTY;
	/*
	 * Behind that, or a packet on another processor could edit what was
	 * read and take itself for told. ct->lock nests in cp->lock.
	 */
	nfct = ssyncp_nfct_seq(cp, &seq);
	if (unlikely(!(cp->old_state & SSYNCP_LOCAL))) {
		/* A peer's news replaced it since: it is not ours to tell. */
	} else if (ssyncp_conn_persists(cp)) {
		tally->persist++;
		ssyncp_conn_pass_over(cp);
	} else if (!(cp->old_state & SSYNCP_KNOWN) &&
		   ssyncp_conn_closing(cp) && READ_ONCE(ssyncp_skip_closing)) {
		tally->closing++;
		ssyncp_conn_pass_over(cp);
	} else {
		/*
		 * The packet that brought the news may not have restarted the
		 * timer yet, while its state has set another timeout: the
		 * difference of the two would pass for an age.
		 */
		age = min(ssyncp_conn_age(cp), age_max);
		len += ssyncp_record_build(buf + len, cp, age, nfct);
		ssyncp_conn_tell(cp, age);
		tally->records++;
	}
	spin_unlock(&cp->lock);
	__ip_vs_conn_put(cp);
	return len;
}

static void ssyncp_count_tally(struct ssyncp_net *sn,
			       const struct ssyncp_tally *tally)
{
	ssyncp_count_by(sn, READ_RECORDS, tally->records);
	ssyncp_count_by(sn, SKIPPED_CLOSING, tally->closing);
	ssyncp_count_by(sn, SKIPPED_PERSIST, tally->persist);
}

/*
 * Fill the page with records of one shard; at most `room` bytes, which is
 * enough for the largest unit, from at most `budget` connections.
 */
static size_t ssyncp_fill(struct ssyncp_queue *q, struct ssyncp_shard *shard,
			  size_t room, unsigned int *budget, bool *empty)
{
	unsigned int left = min_t(unsigned int, *budget, SSYNCP_FILL_MAX);
	struct ssyncp_tally tally = {};
	struct ip_vs_conn *cp;
	size_t len = 0;

	room = min_t(size_t, room, PAGE_SIZE) - SSYNCP_CHAIN_MAX;
	*empty = false;
	/* Once for all the locks of connections. */
	local_bh_disable();
	*budget -= left;
	for (; len <= room && left; left--) {
		unsigned long now = jiffies;

		cp = __ptr_ring_peek(&shard->ring);
		if (!cp) {
			shard->empty_at = now;
			*empty = true;
			break;
		}
		__ptr_ring_discard_one(&shard->ring);
		len += ssyncp_emit(cp, now - shard->empty_at, q->page + len,
				   &tally);
	}
	*budget += left;
	ssyncp_count_tally(q->sn, &tally);
	local_bh_enable();
	return len;
}

static ssize_t ssyncp_read_events(struct ssyncp_queue *q, char __user *buf)
{
	struct ssyncp_event ev = {
		.head.len	= sizeof(ev),
		.head.kind	= SSYNCP_KIND_EVENT,
	};
	struct netns_ipvs *ipvs = net_ipvs(q->net);

	/* Seen from here, too: there may be no packet to see it from. */
	ssyncp_queue_master(q, READ_ONCE(ipvs->sync_state) &
			       IP_VS_STATE_MASTER);

	if (!READ_ONCE(q->events))
		return 0;
	ev.events = xchg(&q->events, 0);
	if (copy_to_user(buf, &ev, sizeof(ev))) {
		/* Not told: raise them again. */
		unsigned long bit, left = ev.events;

		for_each_set_bit(bit, &left, BITS_PER_LONG)
			set_bit(bit, &q->events);
		return -EFAULT;
	}
	return sizeof(ev);
}

/* What there is now: events, then records. 0 when there is nothing. */
static ssize_t ssyncp_read_now(struct ssyncp_queue *q, char __user *buf,
			       size_t count)
{
	/* Else who reads what is not told could be kept busy by packets. */
	unsigned int budget = ssyncp_queue_size(q);
	unsigned int i, idle = 0;
	ssize_t done;
	size_t len;
	bool empty;

	done = ssyncp_read_events(q, buf);
	if (done < 0)
		return done;

	for (i = q->next; idle < q->nr_shards && budget; ) {
		if (count - done < SSYNCP_CHAIN_MAX)
			break;
		len = ssyncp_fill(q, &q->shards[i], count - done, &budget,
				  &empty);
		if (len && copy_to_user(buf + done, q->page, len)) {
			ssyncp_count(q->sn, DROPPED_FAULT);
			ssyncp_queue_lost(q);
			done = done ? done : -EFAULT;
			break;
		}
		done += len;
		if (empty) {
			idle++;
			i = (i + 1) & (q->nr_shards - 1);
		} else {
			idle = 0;
		}
		if (signal_pending(current))
			break;
		cond_resched();
	}
	q->next = i;
	WRITE_ONCE(q->armed, 1);
	return done;
}

ssize_t ssyncp_queue_read(struct ssyncp_queue *q, char __user *buf,
			  size_t count, bool nonblock)
{
	ssize_t done;

	if (count < SSYNCP_READ_MIN)
		return -EINVAL;
	ssyncp_count(q->sn, READ_CALLS);

	for (;;) {
		if (mutex_lock_interruptible(&q->read_mutex))
			return -ERESTARTSYS;
		done = ssyncp_read_now(q, buf, count);
		mutex_unlock(&q->read_mutex);
		if (done)
			return done;
		if (signal_pending(current))
			return -ERESTARTSYS;
		if (nonblock)
			return -EAGAIN;
		if (wait_event_interruptible_timeout(q->wait,
						     READ_ONCE(q->events),
						     SSYNCP_READ_PERIOD) < 0)
			return -ERESTARTSYS;
	}
}

__poll_t ssyncp_queue_poll(struct ssyncp_queue *q, struct file *file,
			   struct poll_table_struct *wait)
{
	unsigned int i;

	poll_wait(file, &q->wait, wait);
	if (READ_ONCE(q->events))
		return EPOLLIN | EPOLLRDNORM;
	for (i = 0; i < q->nr_shards; i++) {
		struct ptr_ring *r = &q->shards[i].ring;

		/* What was consumed is cleared late: do not poll for that. */
		if (ssyncp_ring_holds(r, READ_ONCE(q->watermark)) &&
		    !__ptr_ring_empty(r))
			return EPOLLIN | EPOLLRDNORM;
	}
	return 0;
}
