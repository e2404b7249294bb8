// SPDX-License-Identifier: GPL-2.0-only
/*
 * The walk where the table is static in ip_vs, one for all namespaces: its own
 * iterator walks it, the one behind /proc/net/ip_vs_conn, driven with a
 * seq_file of ours that never meets the VFS. (Opening that file from here
 * would resolve it in the caller's root and mount namespace.) The iterator
 * keeps the hash chain in its private area, which starts with struct
 * seq_net_private; we give it more than it needs.
 *
 * A reference holds the connection that we stopped at, and the walk goes on
 * from it, not from a position: entries that come and go elsewhere neither
 * hide nor repeat others. A referenced connection stays in its chain, but for
 * two that are rehashed: one that learns its client port, and a template that
 * is invalidated. Both show in their ports; then the walk begins again.
 */
#include <linux/seq_file.h>
#include <linux/seq_file_net.h>
#include <linux/slab.h>

#include "walk.h"

/* Of other namespaces, between two looks at the scheduler. */
#define SSYNCP_WALK_STEPS	1024

struct ssyncp_walk {
	struct netns_ipvs	*ipvs;
	struct ssyncp_net	*sn;
	struct seq_file		seq;
	struct {
		struct seq_net_private	p;
		void			*private[14];	/* one is used */
	} iterator;
	loff_t			pos;
	unsigned int		steps;
	bool			begun;
	struct ip_vs_conn	*cursor;	/* a reference; NULL: begin */
	__be16			cursor_cport;
	__be16			cursor_vport;
};

static bool ssyncp_cursor_moved(const struct ssyncp_walk *w)
{
	return READ_ONCE(w->cursor->cport) != w->cursor_cport ||
	       READ_ONCE(w->cursor->vport) != w->cursor_vport;
}

static void ssyncp_cursor_drop(struct ssyncp_walk *w)
{
	if (w->cursor)
		__ip_vs_conn_put(w->cursor);
	w->cursor = NULL;
}

static struct ip_vs_conn *ssyncp_step(struct ssyncp_walk *w, void *v)
{
	return static_call(ssyncp_seq_next)(&w->seq, v, &w->pos);
}

/* Where the walk was put down, of any namespace. Under RCU. */
static struct ip_vs_conn *ssyncp_walk_from_cursor(struct ssyncp_walk *w)
{
	struct ip_vs_conn *cp;

	if (w->cursor) {
		cp = ssyncp_step(w, w->cursor);
		/* Looked at behind the step: it may have moved during it. */
		if (!ssyncp_cursor_moved(w)) {
			ssyncp_cursor_drop(w);
			return cp;
		}
		ssyncp_cursor_drop(w);
	}
	if (w->begun)
		ssyncp_count(w->sn, SNAPSHOT_RESTARTS);
	w->begun = true;
	w->pos = 0;
	/* Kernels that keep a position of their own keep it there. */
	memset(&w->iterator, 0, sizeof(w->iterator));
	return ssyncp_step(w, SEQ_START_TOKEN);
}

/*
 * The next one of this namespace, from cp on. Where there are many others it
 * leaves the read-side section now and then, holding one of those: for this
 * moment only.
 */
static struct ip_vs_conn *ssyncp_walk_own(struct ssyncp_walk *w,
					  struct ip_vs_conn *cp)
{
	while (cp && cp->ipvs != w->ipvs) {
		if (++w->steps % SSYNCP_WALK_STEPS == 0 &&
		    ssyncp_walk_stop_at(w, cp)) {
			rcu_read_unlock();
			cond_resched();
			rcu_read_lock();
			cp = ssyncp_walk_from_cursor(w);
			continue;
		}
		cp = ssyncp_step(w, cp);
	}
	return cp;
}

struct ip_vs_conn *ssyncp_walk_resume(struct ssyncp_walk *w)
	__acquires(RCU)
{
	rcu_read_lock();
	return ssyncp_walk_own(w, ssyncp_walk_from_cursor(w));
}

struct ip_vs_conn *ssyncp_walk_next(struct ssyncp_walk *w,
				    struct ip_vs_conn *cp)
{
	return ssyncp_walk_own(w, ssyncp_step(w, cp));
}

bool ssyncp_walk_stop_at(struct ssyncp_walk *w, struct ip_vs_conn *cp)
{
	if (!__ip_vs_conn_get(cp))
		return false;
	w->cursor = cp;
	w->cursor_cport = cp->cport;
	w->cursor_vport = cp->vport;
	return true;
}

struct ssyncp_walk *ssyncp_walk_open(struct net *net)
{
	struct ssyncp_walk *w;

	if (ssyncp_missing & SSYNCP_MISSING_CONN_SEQ_NEXT)
		return ERR_PTR(-EOPNOTSUPP);
	w = kzalloc(sizeof(*w), GFP_KERNEL_ACCOUNT);
	if (!w)
		return ERR_PTR(-ENOMEM);
	w->ipvs = net_ipvs(net);
	w->sn = ssyncp_net(net);
	w->seq.private = &w->iterator;
	return w;
}

void ssyncp_walk_close(struct ssyncp_walk *w)
{
	ssyncp_cursor_drop(w);
	kfree(w);
}
