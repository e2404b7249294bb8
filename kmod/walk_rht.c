// SPDX-License-Identifier: GPL-2.0-only
/*
 * The walk where each namespace has a table of its own that resizes: bucket by
 * bucket, first through the table, then through the one that it is just moved
 * to, if there is one. Each connection is met by its node of the original
 * direction; one with NAT has two.
 *
 * A reference holds the connection that we stopped at in its bucket, and the
 * walk goes on from it. What moved under us in a bucket the bucket's sequence
 * count tells: then it is walked again. A new table has its own order: where
 * one was installed since, the walk begins again.
 */
#include <linux/rcupdate_wait.h>
#include <linux/slab.h>

#include "walk.h"

/* Buckets between two looks at the scheduler. */
#define SSYNCP_WALK_BUCKETS	1024

struct ssyncp_walk {
	struct netns_ipvs	*ipvs;
	struct ssyncp_net	*sn;
	/* The table: outside of RCU only to tell it from another one. */
	struct ip_vs_rht	*installed;
	int			changes;	/* installs before it */
	struct ip_vs_rht	*t;		/* it, or what it moves to */
	bool			moved_to;
	u32			bucket;
	unsigned int		seq;		/* of the bucket */
	struct ip_vs_conn	*cursor;	/* a reference, or NULL */
};

static const seqcount_t *ssyncp_bucket_seqcount(const struct ssyncp_walk *w)
{
	return &w->t->seqc[w->bucket & w->t->seqc_mask];
}

/* The first of a chain whose node of the original direction is in w->t. */
static struct ip_vs_conn *ssyncp_chain(const struct ssyncp_walk *w,
				       struct hlist_bl_node *node)
{
	struct ip_vs_conn_hnode *hn;

	for (; node; node = rcu_dereference_raw(node->next)) {
		hn = hlist_bl_entry(node, struct ip_vs_conn_hnode, node);
		/* Moved: what follows it is a chain of the other table. */
		if (!ip_vs_rht_same_table(w->t, READ_ONCE(hn->hash_key)))
			return NULL;
		if (!hn->dir)
			return ip_vs_hn0_to_conn(hn);
	}
	return NULL;
}

static struct ip_vs_conn *ssyncp_chain_behind(const struct ssyncp_walk *w,
					      const struct ip_vs_conn *cp)
{
	return ssyncp_chain(w, rcu_dereference_raw(cp->hn0.node.next));
}

static struct ip_vs_conn *ssyncp_bucket_begin(struct ssyncp_walk *w)
{
	struct ip_vs_conn_hnode *hn;
	struct hlist_bl_node *node;

	w->seq = read_seqcount_begin(ssyncp_bucket_seqcount(w));
	/*
	 * The first node without the lock bit of its bucket. What has taken
	 * that bit off changed its name between kernels; this macro stays.
	 */
	hlist_bl_for_each_entry_rcu(hn, node, w->t->buckets + w->bucket, node)
		break;
	return ssyncp_chain(w, node);
}

/* Is there still the table that the walk began with? Sets w->t. Under RCU. */
static bool ssyncp_table_same(struct ssyncp_walk *w)
{
	struct ip_vs_rht *t = rcu_dereference(w->ipvs->conn_tab);

	if (!t || t != w->installed ||
	    /* Another one may be where an old one was. */
	    atomic_read(&w->ipvs->conn_tab_changes) != w->changes)
		return false;
	w->t = w->moved_to ? rcu_dereference(t->new_tbl) : t;
	return true;
}

static void ssyncp_cursor_drop(struct ssyncp_walk *w)
{
	if (w->cursor)
		__ip_vs_conn_put(w->cursor);
	w->cursor = NULL;
}

/* False: no table, as long as there was no service. Under RCU. */
static bool ssyncp_walk_begin(struct ssyncp_walk *w)
{
	ssyncp_cursor_drop(w);
	w->changes = atomic_read(&w->ipvs->conn_tab_changes);
	/* Pairs with the barrier where a table is installed. */
	smp_rmb();
	w->installed = rcu_dereference(w->ipvs->conn_tab);
	w->t = w->installed;
	w->moved_to = false;
	w->bucket = 0;
	return w->t;
}

/* On to the next bucket: false at the end of the last table. Under RCU. */
static bool ssyncp_bucket_next(struct ssyncp_walk *w)
{
	struct ip_vs_rht *t;

	if (++w->bucket % SSYNCP_WALK_BUCKETS == 0) {
		cond_resched_rcu();
		if (!ssyncp_table_same(w)) {
			ssyncp_count(w->sn, SNAPSHOT_RESTARTS);
			return ssyncp_walk_begin(w);
		}
	}
	if (w->bucket < w->t->size)
		return true;

	if (!ssyncp_table_same(w)) {
		ssyncp_count(w->sn, SNAPSHOT_RESTARTS);
		return ssyncp_walk_begin(w);
	}
	t = rcu_dereference(w->t->new_tbl);
	if (t == w->t)
		return false;
	w->t = t;
	w->moved_to = true;
	w->bucket = 0;
	return true;
}

/* From cp on, which is NULL at the end of a chain. */
static struct ip_vs_conn *ssyncp_walk_on(struct ssyncp_walk *w,
					 struct ip_vs_conn *cp)
{
	while (!cp) {
		if (!read_seqcount_retry(ssyncp_bucket_seqcount(w), w->seq) &&
		    !ssyncp_bucket_next(w))
			return NULL;
		cp = ssyncp_bucket_begin(w);
	}
	return cp;
}

struct ip_vs_conn *ssyncp_walk_next(struct ssyncp_walk *w,
				    struct ip_vs_conn *cp)
{
	return ssyncp_walk_on(w, ssyncp_chain_behind(w, cp));
}

struct ip_vs_conn *ssyncp_walk_resume(struct ssyncp_walk *w)
	__acquires(RCU)
{
	struct ip_vs_conn *cp, *cursor = w->cursor;
	u32 key;

	rcu_read_lock();
	if (!ssyncp_table_same(w)) {
		if (w->installed)
			ssyncp_count(w->sn, SNAPSHOT_RESTARTS);
		if (!ssyncp_walk_begin(w))
			return NULL;
		return ssyncp_walk_on(w, ssyncp_bucket_begin(w));
	}

	cp = ssyncp_bucket_begin(w);
	if (cursor) {
		/* Where it moves from here on, the count will tell. */
		key = READ_ONCE(cursor->hn0.hash_key);
		if (ip_vs_rht_same_table(w->t, key) &&
		    (key & w->t->mask) == w->bucket)
			cp = ssyncp_chain_behind(w, cursor);
		ssyncp_cursor_drop(w);
	}
	return ssyncp_walk_on(w, cp);
}

bool ssyncp_walk_stop_at(struct ssyncp_walk *w, struct ip_vs_conn *cp)
{
	if (!__ip_vs_conn_get(cp))
		return false;
	w->cursor = cp;
	return true;
}

struct ssyncp_walk *ssyncp_walk_open(struct net *net)
{
	struct ssyncp_walk *w = kzalloc(sizeof(*w), GFP_KERNEL_ACCOUNT);

	if (!w)
		return ERR_PTR(-ENOMEM);
	w->ipvs = net_ipvs(net);
	w->sn = ssyncp_net(net);
	return w;
}

void ssyncp_walk_close(struct ssyncp_walk *w)
{
	ssyncp_cursor_drop(w);
	kfree(w);
}
