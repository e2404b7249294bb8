// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every connection of a namespace, once.
 *
 * The table is static in ip_vs, so its own iterator walks it: the one behind
 * /proc/net/ip_vs_conn, driven with a seq_file of ours that never meets the
 * VFS. (Opening that file from here would resolve it in the caller's root and
 * mount namespace.) The iterator keeps the hash chain in its private area,
 * which starts with struct seq_net_private; we give it more than it needs.
 *
 * Records are built under RCU into a page; copying to user space happens
 * outside. In between a reference holds the connection that we stopped at, and
 * the walk goes on from it, not from a position: entries that come and go
 * elsewhere neither hide nor repeat others. A referenced connection stays in
 * its chain, but for two that are rehashed: one that learns its client port,
 * and a template that is invalidated. Both show in their ports; then the walk
 * begins again, and who reads twice drops what it knows.
 */
#include <linux/seq_file.h>
#include <linux/seq_file_net.h>
#include <linux/uaccess.h>

#include "module.h"

/* Connections between two looks at the scheduler. */
#define SSYNCP_WALK_STEPS	1024

struct ssyncp_walk {
	struct seq_net_private	p;
	void			*private[14];	/* ip_vs_iter_state: one used */
};

struct ssyncp_snapshot {
	struct net		*net;
	struct ssyncp_net	*sn;
	u32			flags;		/* SSYNCP_ATTACH_* */

	struct mutex		mutex;		/* all below */
	struct seq_file		seq;
	struct ssyncp_walk	walk;
	loff_t			pos;
	struct ip_vs_conn	*cursor;	/* a reference; NULL: begin */
	__be16			cursor_cport;
	__be16			cursor_vport;
	bool			done;
	void			*page;
};

static bool ssyncp_cursor_moved(const struct ssyncp_snapshot *s)
{
	return READ_ONCE(s->cursor->cport) != s->cursor_cport ||
	       READ_ONCE(s->cursor->vport) != s->cursor_vport;
}

static void ssyncp_cursor_drop(struct ssyncp_snapshot *s)
{
	if (s->cursor)
		__ip_vs_conn_put(s->cursor);
	s->cursor = NULL;
}

/* Take up the walk, with the RCU read lock held on return. */
static void *ssyncp_walk_resume(struct ssyncp_snapshot *s)
	__acquires(RCU)
{
	void *v;

	rcu_read_lock();
	if (s->cursor) {
		v = static_call(ssyncp_seq_next)(&s->seq, s->cursor, &s->pos);
		/* Looked at behind the step: it may have moved during it. */
		if (!ssyncp_cursor_moved(s)) {
			ssyncp_cursor_drop(s);
			return v;
		}
		ssyncp_cursor_drop(s);
		ssyncp_count(s->sn, SNAPSHOT_RESTARTS);
	}
	s->pos = 0;
	return static_call(ssyncp_seq_next)(&s->seq, SEQ_START_TOKEN, &s->pos);
}

static bool ssyncp_walk_stop_at(struct ssyncp_snapshot *s,
				struct ip_vs_conn *cp)
{
	if (!__ip_vs_conn_get(cp))
		return false;
	s->cursor = cp;
	s->cursor_cport = cp->cport;
	s->cursor_vport = cp->vport;
	return true;
}

/* Does this snapshot want cp? */
static bool ssyncp_walk_wants(const struct ssyncp_snapshot *s,
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
static size_t ssyncp_walk_emit(struct ssyncp_snapshot *s,
			       struct ip_vs_conn *cp, void *buf)
{
	struct ssyncp_seq_option nfct;
	unsigned long age;
	size_t len = 0;

	/* Without the lock: what changes just now is news anyway. */
	if (!ssyncp_walk_wants(s, cp))
		return 0;

	ssyncp_nfct_seq(cp, &nfct);
	spin_lock_bh(&cp->lock);
	if (ssyncp_walk_wants(s, cp)) {
		age = ssyncp_conn_age(cp);
		len = ssyncp_record_build(buf, cp, age, &nfct);
		/* What comes of it from now on, and its end, is news. */
		if (s->flags & SSYNCP_ATTACH_OWNED &&
		    !(cp->ipvs->sync_state & IP_VS_STATE_MASTER))
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
 * leaves the read-side section now and then, holding any connection, also one
 * of another namespace: for this moment only.
 */
static size_t ssyncp_walk_fill(struct ssyncp_snapshot *s, size_t room)
{
	struct netns_ipvs *ipvs = net_ipvs(s->net);
	unsigned int steps = 0;
	struct ip_vs_conn *cp;
	size_t len = 0;
	void *v;

	v = ssyncp_walk_resume(s);
	while (v) {
		cp = v;
		if (cp->ipvs == ipvs) {
			len += ssyncp_walk_emit(s, cp, s->page + len);
			if (len + 2 * SSYNCP_RECORD_MAX > room &&
			    ssyncp_walk_stop_at(s, cp))
				break;
			if (len + SSYNCP_RECORD_MAX > room) {
				/* Dying ones only, to the end of the room. */
				ssyncp_count(s->sn, SNAPSHOT_RESTARTS);
				break;
			}
		}
		if (++steps % SSYNCP_WALK_STEPS == 0 &&
		    ssyncp_walk_stop_at(s, cp)) {
			rcu_read_unlock();
			cond_resched();
			v = ssyncp_walk_resume(s);
			continue;
		}
		v = static_call(ssyncp_seq_next)(&s->seq, v, &s->pos);
	}
	rcu_read_unlock();
	s->done = !v;
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
		len = ssyncp_walk_fill(s, room);
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

	if (ssyncp_missing & SSYNCP_MISSING_CONN_SEQ_NEXT)
		return ERR_PTR(-EOPNOTSUPP);
	s = kzalloc(sizeof(*s), GFP_KERNEL_ACCOUNT);
	if (!s)
		return ERR_PTR(-ENOMEM);
	s->page = (void *)__get_free_page(GFP_KERNEL_ACCOUNT);
	if (!s->page) {
		kfree(s);
		return ERR_PTR(-ENOMEM);
	}
	s->net = net;
	s->sn = ssyncp_net(net);
	s->flags = flags;
	mutex_init(&s->mutex);
	s->seq.private = &s->walk;
	ssyncp_count(s->sn, SNAPSHOTS);
	return s;
}

void ssyncp_snapshot_close(struct ssyncp_snapshot *s)
{
	ssyncp_cursor_drop(s);
	free_page((unsigned long)s->page);
	kfree(s);
}
