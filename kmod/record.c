// SPDX-License-Identifier: GPL-2.0-only
/*
 * One connection as a record.
 */
#include <linux/jiffies.h>

#include "module.h"

/* Constant sizes are a few moves each, a variable one is a string copy. */
static __always_inline void ssyncp_record_addr(__u8 *to, int family,
					       const union nf_inet_addr *addr)
{
	if (unlikely(family == AF_INET6)) {
		memcpy(to, &addr->in6, sizeof(addr->in6));
	} else {
		memcpy(to, &addr->ip, sizeof(addr->ip));
		memset(to + sizeof(addr->ip), 0, 16 - sizeof(addr->ip));
	}
}

u32 ssyncp_record_msecs(unsigned long j)
{
	/* jiffies_to_msecs() returns an unsigned int that wraps. */
	if (j >= msecs_to_jiffies(U32_MAX >> 1))
		return U32_MAX >> 1;
	return jiffies_to_msecs(j);
}

/*
 * One direction's adjustment: what cp holds until conntrack takes it over
 * (nfct.c; it is the fresher of the two), or what conntrack knows.
 */
static void ssyncp_record_seq(struct ssyncp_seq *to,
			      const struct ip_vs_seq *own,
			      const struct ssyncp_seq *nfct)
{
	if (nfct && !own->delta && !own->previous_delta) {
		*to = *nfct;
	} else {
		to->init_seq = own->init_seq;
		to->delta = own->delta;
		to->previous_delta = own->previous_delta;
	}
}

static bool ssyncp_seq_moves(const struct ssyncp_seq *seq)
{
	return seq->delta || seq->previous_delta;
}

/* The option of both directions, where one of them is adjusted. */
static void *ssyncp_record_seqs(struct ssyncp_conn *rec,
				const struct ip_vs_conn *cp,
				const struct ssyncp_seq_option *nfct)
{
	struct ssyncp_seq_option *seq = (void *)(rec + 1);

	ssyncp_record_seq(&seq->in, &cp->in_seq, nfct ? &nfct->in : NULL);
	ssyncp_record_seq(&seq->out, &cp->out_seq, nfct ? &nfct->out : NULL);
	if (ssyncp_seq_moves(&seq->in))
		rec->flags |= IP_VS_CONN_F_IN_SEQ;
	if (ssyncp_seq_moves(&seq->out))
		rec->flags |= IP_VS_CONN_F_OUT_SEQ;
	/* Else what follows writes over it, or it is behind the length. */
	if (!(rec->flags & IP_VS_CONN_F_SEQ_MASK))
		return seq;
	rec->head.options |= SSYNCP_OPT_SEQ;
	return seq + 1;
}

/* Does IPVS adjust sequence numbers of cp, or say so? */
static bool ssyncp_conn_moves(const struct ip_vs_conn *cp)
{
	return cp->in_seq.delta | cp->in_seq.previous_delta |
	       cp->out_seq.delta | cp->out_seq.previous_delta |
	       (cp->flags & IP_VS_CONN_F_SEQ_MASK);
}

/* The option of a template's persistence engine. */
static void *ssyncp_record_pe(struct ssyncp_conn *rec,
			      const struct ip_vs_conn *cp, void *tail)
{
	size_t len = sizeof(struct ssyncp_pe) + cp->pe_data_len;
	struct ssyncp_pe *pe = tail;

	rec->head.options |= SSYNCP_OPT_PE;
	memset(pe, 0, ALIGN(len, SSYNCP_ALIGN));
	strscpy(pe->name, cp->pe->name, sizeof(pe->name));
	pe->len = cp->pe_data_len;
	memcpy(pe + 1, cp->pe_data, cp->pe_data_len);
	return tail + ALIGN(len, SSYNCP_ALIGN);
}

/*
 * Write the record of cp to buf, with the adjustments that ssyncp_nfct_seq()
 * found. buf has room for SSYNCP_RECORD_MAX bytes and is aligned to
 * SSYNCP_ALIGN; every byte up to the returned length is set. The caller holds
 * cp->lock, and a reference or the RCU read lock (which keeps pe and pe_data:
 * see ip_vs_conn_rcu_free()).
 */
size_t ssyncp_record_build(void *buf, const struct ip_vs_conn *cp,
			   unsigned long age,
			   const struct ssyncp_seq_option *nfct)
{
	struct ssyncp_conn *rec = buf;
	void *tail = rec + 1;
	u16 marks = cp->old_state;

	rec->head.kind = SSYNCP_KIND_CONN;
	rec->head.options = 0;
	rec->family = cp->af;
	rec->dest_family = cp->daf;
	rec->protocol = cp->protocol;
	rec->marks = (marks & SSYNCP_LOCAL ? SSYNCP_MARK_LOCAL : 0) |
		     (marks & SSYNCP_KNOWN ? SSYNCP_MARK_KNOWN : 0) |
		     (cp->dest ? SSYNCP_MARK_BOUND : 0);
	rec->flags = cp->flags & ~IP_VS_CONN_F_HASHED;
	rec->state = cp->state;
	rec->cport = cp->cport;
	rec->vport = cp->vport;
	rec->dport = cp->dport;
	rec->fwmark = cp->fwmark;
	rec->timeout_ms = ssyncp_record_msecs(cp->timeout);
	rec->age_ms = ssyncp_record_msecs(age);
	rec->told_ms = 0;
	rec->reserved = 0;
	ssyncp_record_addr(rec->caddr, cp->af, &cp->caddr);
	ssyncp_record_addr(rec->vaddr, cp->af, &cp->vaddr);
	ssyncp_record_addr(rec->daddr, cp->daf, &cp->daddr);

	if (unlikely(nfct || ssyncp_conn_moves(cp)))
		tail = ssyncp_record_seqs(rec, cp, nfct);
	if (unlikely(cp->pe) && cp->pe_data && cp->pe_data_len)
		tail = ssyncp_record_pe(rec, cp, tail);

	rec->head.len = tail - buf;
	return rec->head.len;
}
