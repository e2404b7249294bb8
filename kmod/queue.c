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
#include <linux/ptr_ring.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "module.h"

#define SSYNCP_SHARDS_MAX	16
/* A waiting reader looks again this often: the packet path wakes it late. */
#define SSYNCP_READ_PERIOD	(HZ / 10)
/* Connections between two looks at the scheduler: most may yield no record. */
#define SSYNCP_FILL_MAX		256

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

/* As select_master_thread_id() in ip_vs: neighbours differ above this bit. */
static struct ssyncp_shard *ssyncp_queue_shard(struct ssyncp_queue *q,
					       const struct ip_vs_conn *cp)
{
	unsigned long key = (unsigned long)cp >> (1 + ilog2(sizeof(*cp)));

	return &q->shards[key & (q->nr_shards - 1)];
}

/*
 * At least n slots are taken: the one n behind the producer is. Exact but for
 * the last few slots that the consumer clears in batches. Under
 * producer_lock, or as a hint.
 */
static bool ssyncp_ring_holds(const struct ptr_ring *r, unsigned int n)
{
	int slot = READ_ONCE(r->producer) - (int)n;

	if (slot < 0)
		slot += r->size;
	return READ_ONCE(r->queue[slot]);
}

static void ssyncp_queue_wake(struct ssyncp_queue *q)
{
	ssyncp_count(q->sn, WAKEUPS);
	wake_up_interruptible_poll(&q->wait, EPOLLIN | EPOLLRDNORM);
}

static void ssyncp_queue_raise(struct ssyncp_queue *q, u32 event)
{
	if (!test_and_set_bit(ilog2(event), &q->events))
		ssyncp_queue_wake(q);
}

static void ssyncp_queue_lost(struct ssyncp_queue *q)
{
	if (test_bit(ilog2(SSYNCP_EVENT_LOST), &q->events))
		return;
	ssyncp_count(q->sn, LOST_EVENTS);
	ssyncp_queue_raise(q, SSYNCP_EVENT_LOST);
}

/*
 * Put cp into the queue, with a reference of its own. The caller holds
 * cp->lock, a reference and the RCU read lock. What is only opening may use
 * half of the queue, and is no loss: a SYN flood cannot keep out or drown an
 * established connection.
 */
bool ssyncp_queue_push(struct ssyncp_queue *q, struct ip_vs_conn *cp,
		       bool opening)
{
	struct ptr_ring *r = &ssyncp_queue_shard(q, cp)->ring;
	bool wake = false;
	int err = -ENOSPC;

	spin_lock(&r->producer_lock);
	if (!opening || !ssyncp_ring_holds(r, r->size / 2)) {
		/* The caller has one: this cannot find it at zero. */
		refcount_inc(&cp->refcnt);
		err = __ptr_ring_produce(r, cp);
		if (err)
			__ip_vs_conn_put(cp);
		else
			wake = READ_ONCE(q->armed) &&
			       ssyncp_ring_holds(r, q->watermark);
	}
	spin_unlock(&r->producer_lock);

	if (!err) {
		ssyncp_count(q->sn, QUEUED);
		if (wake && xchg(&q->armed, 0))
			ssyncp_queue_wake(q);
	} else if (opening) {
		ssyncp_count(q->sn, DROPPED_NEW);
	} else {
		ssyncp_count(q->sn, DROPPED_FULL);
		ssyncp_queue_lost(q);
	}
	return !err;
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

bool ssyncp_queue_master_seen(const struct ssyncp_queue *q)
{
	return READ_ONCE(q->master_seen);
}

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

static bool ssyncp_in_persistence(const struct ip_vs_conn *cp)
{
	while ((cp = cp->control)) {
		if (cp->flags & IP_VS_CONN_F_TEMPLATE)
			return true;
	}
	return false;
}

/* Records of the controllers of cp, the template first. */
static size_t ssyncp_emit_controllers(struct ssyncp_queue *q,
				      struct ip_vs_conn *cp, void *buf)
{
	struct ip_vs_conn *chain[2], *ctl = cp->control;
	size_t len = 0, start;
	int n = 0;

	/* Pinned by n_control for as long as we hold cp. */
	for (; ctl && n < (int)ARRAY_SIZE(chain); ctl = ctl->control)
		chain[n++] = ctl;

	while (n--) {
		ctl = chain[n];
		start = len;
		spin_lock_bh(&ctl->lock);
		if (ssyncp_controller_due(ctl)) {
			/* DIRTY stays: its slot in the queue is its own. */
			ctl->old_state = (ctl->old_state & SSYNCP_DIRTY) |
				SSYNCP_LOCAL | SSYNCP_KNOWN |
				ssyncp_conn_told(ctl);
			ctl->sync_endtime = jiffies +
				ssyncp_conn_refresh_interval(ctl);
			len += ssyncp_record_build(buf + len, ctl,
						   ssyncp_conn_age(ctl));
		}
		spin_unlock_bh(&ctl->lock);
		if (len != start)
			ssyncp_count(q->sn, READ_RECORDS);
	}
	return len;
}

/* The records of one dirty connection; drops the queue's reference. */
static size_t ssyncp_emit(struct ssyncp_queue *q, struct ip_vs_conn *cp,
			  unsigned long age_max, void *buf)
{
	bool persist = sysctl_sync_persist_mode(cp->ipvs) &&
		       ssyncp_in_persistence(cp);
	unsigned long age;
	size_t len, start;
	u16 marks;

	len = ssyncp_emit_controllers(q, cp, buf);
	start = len;

	spin_lock_bh(&cp->lock);
	marks = cp->old_state & ~SSYNCP_DIRTY;
	if (!(marks & SSYNCP_LOCAL)) {
		/* A peer's news replaced it since: it is not ours to tell. */
	} else if (persist) {
		ssyncp_count(q->sn, SKIPPED_PERSIST);
	} else if (!(marks & SSYNCP_KNOWN) && ssyncp_conn_closing(cp) &&
		   READ_ONCE(ssyncp_skip_closing)) {
		ssyncp_count(q->sn, SKIPPED_CLOSING);
	} else {
		marks = SSYNCP_LOCAL | SSYNCP_KNOWN | ssyncp_conn_told(cp);
		/*
		 * The packet that brought the news may not have restarted the
		 * timer yet, while its state has set another timeout: the
		 * difference of the two would pass for an age.
		 */
		age = min(ssyncp_conn_age(cp), age_max);
		len += ssyncp_record_build(buf + len, cp, age);
	}
	cp->old_state = marks;
	/* Of the state that goes out, not of the one that was queued. */
	cp->sync_endtime = jiffies + ssyncp_conn_refresh_interval(cp);
	spin_unlock_bh(&cp->lock);

	if (len != start)
		ssyncp_count(q->sn, READ_RECORDS);
	__ip_vs_conn_put(cp);
	return len;
}

/* Fill the page with records of one shard; at most `room` bytes. */
static size_t ssyncp_fill(struct ssyncp_queue *q, struct ssyncp_shard *shard,
			  size_t room, bool *empty)
{
	unsigned int budget = SSYNCP_FILL_MAX;
	struct ip_vs_conn *cp;
	size_t len = 0;

	room = min_t(size_t, room, PAGE_SIZE);
	*empty = false;
	while (len + SSYNCP_CHAIN_MAX <= room && budget--) {
		unsigned long now = jiffies;

		cp = __ptr_ring_peek(&shard->ring);
		if (!cp) {
			shard->empty_at = now;
			*empty = true;
			break;
		}
		__ptr_ring_discard_one(&shard->ring);
		len += ssyncp_emit(q, cp, now - shard->empty_at,
				   q->page + len);
	}
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
	ssyncp_queue_master(q, ipvs->sync_state & IP_VS_STATE_MASTER);

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
	unsigned int i, idle = 0;
	ssize_t done;
	size_t len;
	bool empty;

	done = ssyncp_read_events(q, buf);
	if (done < 0)
		return done;

	for (i = q->next; idle < q->nr_shards; ) {
		if (count - done < SSYNCP_CHAIN_MAX)
			break;
		len = ssyncp_fill(q, &q->shards[i], count - done, &empty);
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
		if (ssyncp_ring_holds(r, q->watermark) && !__ptr_ring_empty(r))
			return EPOLLIN | EPOLLRDNORM;
	}
	return 0;
}

u32 ssyncp_queue_state(const struct ssyncp_queue *q)
{
	lockdep_assert_held(&ssyncp_mutex);
	return q->lingering ? SSYNCP_STATE_LINGERING : SSYNCP_STATE_CAPTURING;
}

unsigned int ssyncp_queue_size(const struct ssyncp_queue *q)
{
	return q->nr_shards * q->shards[0].ring.size;
}

static void ssyncp_queue_free(struct ssyncp_queue *q)
{
	unsigned int i;

	for (i = 0; i < q->nr_shards; i++)
		ptr_ring_cleanup(&q->shards[i].ring, NULL);
	free_page((unsigned long)q->page);
	kfree(q);
}

/* Nobody pushes or reads any more: give the references back. */
static void ssyncp_queue_drain(struct ssyncp_queue *q)
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

/* Unpublish the queue, wait for its users, and drain it. */
static void ssyncp_queue_retire(struct ssyncp_queue *q)
{
	lockdep_assert_held(&ssyncp_mutex);
	RCU_INIT_POINTER(q->sn->queue, NULL);
	ssyncp_hook_put();
	ssyncp_queue_drain(q);
}

/* The linger time is over, unless somebody took the queue over meanwhile. */
static void ssyncp_queue_linger_end(struct work_struct *work)
{
	struct ssyncp_queue *q = container_of(to_delayed_work(work),
					      struct ssyncp_queue, linger_work);
	bool ended;

	mutex_lock(&ssyncp_mutex);
	ended = q->lingering && time_after_eq(jiffies, q->linger_until);
	if (ended) {
		q->lingering = false;
		/* A takeover and another detach may have armed us again. */
		cancel_delayed_work(&q->linger_work);
		ssyncp_queue_retire(q);
	}
	mutex_unlock(&ssyncp_mutex);
	if (ended)
		ssyncp_queue_free(q);
}

static struct ssyncp_queue *ssyncp_queue_alloc(struct net *net)
{
	unsigned int i, size, shards;
	struct ssyncp_queue *q;

	shards = min_t(unsigned int, SSYNCP_SHARDS_MAX,
		       roundup_pow_of_two(num_online_cpus()));
	size = clamp_t(unsigned int, READ_ONCE(ssyncp_queue_len), 64, 1 << 24);
	size = DIV_ROUND_UP(size, shards);

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
		q->shards[i].empty_at = jiffies;
	}
	q->net = net;
	q->sn = ssyncp_net(net);
	q->armed = 1;
	init_waitqueue_head(&q->wait);
	mutex_init(&q->read_mutex);
	INIT_DELAYED_WORK(&q->linger_work, ssyncp_queue_linger_end);
	return q;

err_free:
	ssyncp_queue_free(q);
	return NULL;
}

static void ssyncp_queue_setup(struct ssyncp_queue *q,
			       const struct ssyncp_attach *req)
{
	unsigned int size = q->shards[0].ring.size;
	unsigned int mark = req->watermark / q->nr_shards;

	q->linger_ms = req->linger_ms;
	WRITE_ONCE(q->watermark, req->watermark ?
		   clamp(mark, 1U, size - 1) : max(size / 2, 1U));
}

/* The queue of net for its new reader: a lingering one, or a fresh one. */
struct ssyncp_queue *ssyncp_queue_attach(struct net *net,
					 const struct ssyncp_attach *req)
{
	struct ssyncp_net *sn = ssyncp_net(net);
	struct ssyncp_queue *q;
	int err;

	mutex_lock(&ssyncp_mutex);
	q = rcu_dereference_protected(sn->queue,
				      lockdep_is_held(&ssyncp_mutex));
	if (q) {
		err = -EBUSY;
		if (!q->lingering)
			goto err_unlock;
		/* If its work runs already it finds lingering unset. */
		q->lingering = false;
		cancel_delayed_work(&q->linger_work);
		ssyncp_queue_setup(q, req);
		goto out;
	}

	err = -ENOMEM;
	q = ssyncp_queue_alloc(net);
	if (!q)
		goto err_unlock;
	ssyncp_queue_setup(q, req);
	ssyncp_hook_get(net);
	rcu_assign_pointer(sn->queue, q);
out:
	mutex_unlock(&ssyncp_mutex);
	return q;

err_unlock:
	mutex_unlock(&ssyncp_mutex);
	return ERR_PTR(err);
}

/* The reader is gone: its descriptor was closed for the last time. */
void ssyncp_queue_detach(struct ssyncp_queue *q)
{
	mutex_lock(&ssyncp_mutex);
	if (q->linger_ms) {
		unsigned long delay = msecs_to_jiffies(q->linger_ms);

		q->lingering = true;
		q->linger_until = jiffies + delay;
		mod_delayed_work(ssyncp_workqueue, &q->linger_work, delay);
		mutex_unlock(&ssyncp_mutex);
		return;
	}
	ssyncp_queue_retire(q);
	mutex_unlock(&ssyncp_mutex);
	/* A linger that was taken over may have left its work behind. */
	cancel_delayed_work_sync(&q->linger_work);
	ssyncp_queue_free(q);
}

void ssyncp_queue_net_exit(struct net *net)
{
	struct ssyncp_net *sn = ssyncp_net(net);
	struct ssyncp_queue *q;

	mutex_lock(&ssyncp_mutex);
	q = rcu_dereference_protected(sn->queue,
				      lockdep_is_held(&ssyncp_mutex));
	if (q) {
		q->lingering = false;
		ssyncp_queue_retire(q);
	}
	mutex_unlock(&ssyncp_mutex);
	if (q) {
		cancel_delayed_work_sync(&q->linger_work);
		ssyncp_queue_free(q);
	}
}
