// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sequence numbers that netfilter conntrack adjusts.
 *
 * ip_vs_ftp edits the answer to PASV, and leaves it to conntrack to move the
 * sequence numbers behind it. Peers are told in the form that IPVS has for
 * that, struct ip_vs_seq, whose numbers mean the same: behind a position add
 * one offset, before it another. There they are held in the connection until
 * its first packet brings a conntrack entry, which then takes them over.
 *
 * IPVS could apply them itself, but since it left that to conntrack it does
 * not mend the checksum of what it changes.
 */
#include <net/netfilter/nf_conntrack.h>
#include <net/netfilter/nf_conntrack_core.h>
#include <net/netfilter/nf_conntrack_seqadj.h>
#include <net/netfilter/nf_conntrack_zones.h>

#include "told.h"

static void ssyncp_nfct_copy(struct ssyncp_seq *to,
			     const struct nf_ct_seqadj *from)
{
	to->init_seq = from->correction_pos;
	to->delta = from->offset_after;
	to->previous_delta = from->offset_before;
}

/*
 * The adjustments of cp in its conntrack entry; false where there are none.
 * Under RCU, or with a reference to cp.
 */
bool ssyncp_nfct_find(const struct ip_vs_conn *cp,
		      struct ssyncp_seq_option *seq)
{
	const struct nf_conntrack_tuple_hash *h;
	struct nf_conntrack_tuple tuple = {};
	const struct nf_conn_seqadj *adj;
	enum ip_conntrack_dir in;
	struct nf_conn *ct;

	if (!(cp->flags & IP_VS_CONN_F_NFCT))
		return false;

	/* As ip_vs_conn_drop_conntrack() finds it. */
	tuple.src.l3num = cp->af;
	tuple.src.u3 = cp->caddr;
	tuple.src.u.all = cp->cport;
	tuple.dst.protonum = cp->protocol;
	tuple.dst.dir = IP_CT_DIR_ORIGINAL;
	tuple.dst.u3 = cp->vaddr;
	tuple.dst.u.all = cp->vport;
	h = nf_conntrack_find_get(cp->ipvs->net, &nf_ct_zone_dflt, &tuple);
	if (!h)
		return false;
	ct = nf_ct_tuplehash_to_ctrack(h);
	/* Picked up in the middle, it may be the real server that is first. */
	in = NF_CT_DIRECTION(h);
	/* nf_ct_seqadj_set() writes under ct->lock. */
	spin_lock_bh(&ct->lock);
	adj = nfct_seqadj(ct);
	if (adj) {
		ssyncp_nfct_copy(&seq->in, &adj->seq[in]);
		ssyncp_nfct_copy(&seq->out, &adj->seq[!in]);
	}
	spin_unlock_bh(&ct->lock);
	nf_ct_put(ct);
	return adj;
}

static bool ssyncp_seq_set(const struct ip_vs_seq *seq)
{
	return seq->delta || seq->previous_delta;
}

/*
 * Does cp, the connection of an application, hold adjustments that its
 * conntrack entry does not have yet?
 */
bool ssyncp_nfct_holds(const struct ip_vs_conn *cp)
{
	return !(cp->flags & IP_VS_CONN_F_SEQ_MASK) &&
	       (ssyncp_seq_set(&cp->in_seq) || ssyncp_seq_set(&cp->out_seq));
}

static void ssyncp_nfct_give(struct nf_ct_seqadj *to,
			     const struct ip_vs_seq *from)
{
	to->correction_pos = from->init_seq;
	to->offset_after = from->delta;
	to->offset_before = from->previous_delta;
}

static void ssyncp_nfct_forget(struct ip_vs_conn *cp)
{
	memset(&cp->in_seq, 0, sizeof(cp->in_seq));
	memset(&cp->out_seq, 0, sizeof(cp->out_seq));
}

static bool ssyncp_nfct_adjusts(const struct nf_conn_seqadj *adj)
{
	const struct nf_ct_seqadj *seq = adj->seq;

	return seq[0].offset_after || seq[0].offset_before ||
	       seq[1].offset_after || seq[1].offset_before;
}

/*
 * A packet of a connection that a peer had: hand what cp holds to the
 * conntrack entry of the packet. That is a new one, so it can be extended; if
 * it is none (untracked, or invalid to a firewall) the next packet is tried. It
 * may never be confirmed, where both sides speak at once or the packet is
 * dropped further on: cp holds on to it until it sees a confirmed one that has
 * it. Called from packet hooks.
 */
void ssyncp_nfct_adopt(struct ip_vs_conn *cp, const struct sk_buff *skb)
{
	enum ip_conntrack_info ctinfo;
	struct nf_conn *ct = nf_ct_get(skb, &ctinfo);
	struct nf_conn_seqadj *adj;
	enum ip_conntrack_dir in;

	if (!ct || nf_ct_is_template(ct))
		return;
	adj = nfct_seqadj(ct);
	if (!adj && !nf_ct_is_confirmed(ct))
		adj = nfct_seqadj_ext_add(ct);
	if (!adj)
		return;
	/* Picked up in the middle, it may be the real server that is first. */
	in = nf_inet_addr_cmp(&ct->tuplehash[IP_CT_DIR_ORIGINAL].tuple.src.u3,
			      &cp->caddr) ?
	     IP_CT_DIR_ORIGINAL : IP_CT_DIR_REPLY;

	spin_lock_bh(&cp->lock);
	/* The client's port is used again: nothing of the session before. */
	if (ssyncp_conn_opening(cp))
		ssyncp_nfct_forget(cp);
	if (ssyncp_nfct_holds(cp)) {
		spin_lock(&ct->lock);
		if (!ssyncp_nfct_adjusts(adj)) {
			ssyncp_nfct_give(&adj->seq[in], &cp->in_seq);
			ssyncp_nfct_give(&adj->seq[!in], &cp->out_seq);
		}
		spin_unlock(&ct->lock);
		set_bit(IPS_SEQ_ADJUST_BIT, &ct->status);
		if (nf_ct_is_confirmed(ct))
			ssyncp_nfct_forget(cp);
	}
	spin_unlock_bh(&cp->lock);
}
