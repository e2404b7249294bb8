// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every connection of a namespace, once.
 *
 * Records are built under RCU into a page; copying to user space happens
 * outside. Who reads a connection twice drops what it knows (walk.h).
 */
#include <linux/uaccess.h>

#include "told.h"
#include "walk.h"

/* Connections between two looks at the scheduler. */
#define SSYNCP_SNAPSHOT_STEPS	1024

struct ssyncp_snapshot {
	struct ssyncp_net	*sn;
	u32			flags;		/* SSYNCP_ATTACH_* */

	struct mutex		mutex;		/* all below */
	struct ssyncp_walk	*walk;
	bool			done;
	void			*page;
};

/* Does this snapshot want cp? */
static bool ssyncp_snapshot_wants(const struct ssyncp_snapshot *s,
				  const struct ip_vs_conn *cp)
{
	if (s->flags & SSYNCP_ATTACH_DUE && !ssyncp_conn_due(cp))
		return false;
	if (s->flags & SSYNCP_ATTACH_OWNED)
		return ssyncp_conn_owned(cp) && !ssyncp_conn_invalid(cp) &&
		       !ssyncp_conn_persists(cp);
	return true;
}

/* One connection under RCU, no reference held. */
static size_t ssyncp_snapshot_emit(struct ssyncp_snapshot *s,
				   struct ip_vs_conn *cp, void *buf)
{
	const struct ssyncp_seq_option *nfct;
	struct ssyncp_seq_option seq;
	unsigned long age;
	size_t len = 0;

	/*
	 * Without the lock, which most are not worth: what changes just now is
	 * news anyway, and what is wanted is looked at again under it.
	 */
	if (!data_race(ssyncp_snapshot_wants(s, cp)))
		return 0;

	nfct = ssyncp_nfct_seq(cp, &seq);
	spin_lock_bh(&cp->lock);
	if (ssyncp_snapshot_wants(s, cp)) {
		age = ssyncp_conn_age(cp);
		len = ssyncp_record_build(buf, cp, age, nfct);
		/* Of all, for people; of those that are owned, to be sent. */
		if (!(s->flags & SSYNCP_ATTACH_OWNED))
			((struct ssyncp_conn *)buf)->told_ms =
				ssyncp_conn_told_ms(cp);
		/* What comes of it from now on, and its end, is news. */
		if (s->flags & SSYNCP_ATTACH_OWNED &&
		    !(READ_ONCE(cp->ipvs->sync_state) & IP_VS_STATE_MASTER))
			ssyncp_conn_tell(cp, age);
	}
	spin_unlock_bh(&cp->lock);
	if (len)
		ssyncp_count(s->sn, SNAPSHOT_RECORDS);
	return len;
}

/*
 * Fill the page. The walk stops at a connection that it can hold; room is
 * left for a few that are dying just then. Where it meets little to emit, it
 * leaves the read-side section now and then.
 */
static size_t ssyncp_snapshot_fill(struct ssyncp_snapshot *s, size_t room)
{
	struct ip_vs_conn *cp;
	unsigned int steps = 0;
	size_t len = 0;

	cp = ssyncp_walk_resume(s->walk);
	while (cp) {
		len += ssyncp_snapshot_emit(s, cp, s->page + len);
		if (len + 2 * SSYNCP_RECORD_MAX > room &&
		    ssyncp_walk_stop_at(s->walk, cp))
			break;
		/* Dying ones only, to the end of the room. */
		if (len + SSYNCP_RECORD_MAX > room)
			break;
		if (++steps % SSYNCP_SNAPSHOT_STEPS == 0 &&
		    ssyncp_walk_stop_at(s->walk, cp)) {
			rcu_read_unlock();
			cond_resched();
			cp = ssyncp_walk_resume(s->walk);
			continue;
		}
		cp = ssyncp_walk_next(s->walk, cp);
	}
	rcu_read_unlock();
	s->done = !cp;
	return len;
}

ssize_t ssyncp_snapshot_read(struct ssyncp_snapshot *s, char __user *buf,
			     size_t count)
{
	ssize_t done = 0;
	size_t len, room;

	if (count < SSYNCP_READ_MIN)
		return -EINVAL;
	if (mutex_lock_interruptible(&s->mutex))
		return -ERESTARTSYS;

	while (!s->done) {
		room = min_t(size_t, count - done, PAGE_SIZE);
		if (room < SSYNCP_READ_MIN)
			break;
		len = ssyncp_snapshot_fill(s, room);
		if (copy_to_user(buf + done, s->page, len)) {
			done = done ? done : -EFAULT;
			break;
		}
		done += len;
		if (signal_pending(current)) {
			/* Never 0, which is the end, before the end. */
			if (!done && !s->done)
				done = -ERESTARTSYS;
			break;
		}
		cond_resched();
	}
	mutex_unlock(&s->mutex);
	return done;
}

struct ssyncp_snapshot *ssyncp_snapshot_open(struct net *net, u32 flags)
{
	struct ssyncp_snapshot *s;
	int err = -ENOMEM;

	s = kzalloc(sizeof(*s), GFP_KERNEL_ACCOUNT);
	if (!s)
		return ERR_PTR(err);
	s->page = (void *)__get_free_page(GFP_KERNEL_ACCOUNT);
	if (!s->page)
		goto err_free;
	s->walk = ssyncp_walk_open(net);
	if (IS_ERR(s->walk)) {
		err = PTR_ERR(s->walk);
		goto err_page;
	}
	s->sn = ssyncp_net(net);
	s->flags = flags;
	mutex_init(&s->mutex);
	ssyncp_count(s->sn, SNAPSHOTS);
	return s;

err_page:
	free_page((unsigned long)s->page);
err_free:
	kfree(s);
	return ERR_PTR(err);
}

void ssyncp_snapshot_close(struct ssyncp_snapshot *s)
{
	ssyncp_walk_close(s->walk);
	free_page((unsigned long)s->page);
	kfree(s);
}
