// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long a queue lives: from the attach of its reader to the last close of
 * the descriptor, and for a while longer if the reader asked for that.
 */
#include <linux/jiffies.h>

#include "queue.h"

u32 ssyncp_queue_state(const struct ssyncp_queue *q)
{
	lockdep_assert_held(&ssyncp_mutex);
	return q->lingering ? SSYNCP_STATE_LINGERING : SSYNCP_STATE_CAPTURING;
}

unsigned int ssyncp_queue_size(const struct ssyncp_queue *q)
{
	return q->nr_shards * q->shards[0].ring.size;
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
	INIT_DELAYED_WORK(&q->linger_work, ssyncp_queue_linger_end);
	ssyncp_queue_setup(q, req);
	err = ssyncp_hook_get(net);
	if (err)
		goto err_free;
	rcu_assign_pointer(sn->queue, q);
out:
	mutex_unlock(&ssyncp_mutex);
	return q;

err_free:
	ssyncp_queue_free(q);
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
