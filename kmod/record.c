// SPDX-License-Identifier: GPL-2.0-only
/*
 * One connection as a record, and what its state says about it.
 */
#include <linux/jiffies.h>

#include "module.h"

/*
 * IPVS does not let a controller expire while its connections live: it puts it
 * off by this much, again and again.
 */
#define SSYNCP_CONTROLLER_LIFE	(60 * HZ)

/*
 * Jiffies since the last packet: ip_vs_conn_put() restarts the timer behind
 * each. A timer that does not run yet belongs to a connection whose first
 * packet is still under way. May be called without cp->lock: the fields are
 * read once, and a torn pair costs a wrong age for this once.
 */
unsigned long ssyncp_conn_age(const struct ip_vs_conn *cp)
{
	unsigned long timeout = READ_ONCE(cp->timeout);
	unsigned long age, now = jiffies;

	if (!timer_pending(&cp->timer))
		return 0;
	age = now - (READ_ONCE(cp->timer.expires) - timeout);
	if ((long)age < 0)
		return 0;
	if (atomic_read(&cp->n_control))
		age = min(age, timeout - min_t(unsigned long, timeout,
					       SSYNCP_CONTROLLER_LIFE));
	return age;
}

/*
 * How long an advertised connection may go on without being told again. Below
 * a third of the shortest lifetime involved, its controller's included, so
 * that a copy of a connection that has traffic never expires; less if the
 * administrator says so. Under cp->lock, with the state that is being told.
 */
unsigned long ssyncp_conn_refresh_interval(const struct ip_vs_conn *cp)
{
	unsigned long life = min_t(unsigned long, cp->timeout,
				   (unsigned long)ssyncp_max_timeout * HZ);
	/* Pinned by n_control as long as cp lives. */
	const struct ip_vs_conn *ctl = cp->control;
	unsigned int period;

	if (ctl)
		life = min(life, ctl->timeout - ssyncp_conn_age(ctl));
	life = (life >> 2) + (life >> 4);

	period = sysctl_sync_refresh_period(cp->ipvs);
	return period ? min_t(unsigned long, life, period) : life;
}

/*
 * What old_state remembers as the state told last. For a connection that an
 * application edits (FTP) it is none that there is: its sequence numbers move
 * without a change of state, so each packet is news.
 */
u16 ssyncp_conn_told(const struct ip_vs_conn *cp)
{
	return cp->app ? SSYNCP_STATE_MASK : cp->state;
}

/*
 * Ours to speak for: we saw packets of it, or it was made here and neither we
 * nor a peer have spoken of it yet (it is older than we are).
 */
bool ssyncp_conn_owned(const struct ip_vs_conn *cp)
{
	return cp->old_state & SSYNCP_LOCAL ||
	       (!(cp->flags & IP_VS_CONN_F_SYNC) &&
		!(cp->old_state & SSYNCP_KNOWN));
}

/* A template that lost its real server: see ip_vs_check_template(). */
bool ssyncp_conn_invalid(const struct ip_vs_conn *cp)
{
	return cp->flags & IP_VS_CONN_F_TEMPLATE && cp->vport == htons(0xffff);
}

/*
 * Nobody answered yet: what a SYN flood consists of. A listening connection
 * is the data connection of an FTP session, announced by its established
 * control connection.
 */
bool ssyncp_conn_opening(const struct ip_vs_conn *cp)
{
	switch (cp->protocol) {
	case IPPROTO_TCP:
		return cp->state == IP_VS_TCP_S_NONE ||
		       cp->state == IP_VS_TCP_S_SYN_SENT ||
		       cp->state == IP_VS_TCP_S_SYN_RECV ||
		       cp->state == IP_VS_TCP_S_SYNACK;
	case IPPROTO_SCTP:
		return cp->state < IP_VS_SCTP_S_ESTABLISHED;
	default:
		return true;	/* one state: only KNOWN tells them apart */
	}
}

/*
 * Both sides are done. FIN_WAIT and CLOSE_WAIT are not here: a half-closed
 * connection carries data in the other direction for as long as it likes, and
 * with direct routing or tunnels it is all that the director ever sees.
 */
bool ssyncp_conn_closing(const struct ip_vs_conn *cp)
{
	switch (cp->protocol) {
	case IPPROTO_TCP:
		return cp->state == IP_VS_TCP_S_TIME_WAIT ||
		       cp->state == IP_VS_TCP_S_CLOSE ||
		       cp->state == IP_VS_TCP_S_LAST_ACK;
	case IPPROTO_SCTP:
		return cp->state == IP_VS_SCTP_S_SHUTDOWN_ACK_SENT ||
		       cp->state == IP_VS_SCTP_S_REJECTED ||
		       cp->state == IP_VS_SCTP_S_CLOSED;
	default:
		return false;
	}
}

static void ssyncp_record_addr(__u8 *to, int family,
			       const union nf_inet_addr *addr)
{
	size_t len = family == AF_INET6 ? sizeof(addr->in6) : sizeof(addr->ip);

	memcpy(to, addr, len);
	memset(to + len, 0, 16 - len);
}

static u32 ssyncp_record_msecs(unsigned long j)
{
	/* jiffies_to_msecs() returns an unsigned int that wraps. */
	if (j >= msecs_to_jiffies(U32_MAX >> 1))
		return U32_MAX >> 1;
	return jiffies_to_msecs(j);
}

static void ssyncp_record_seq(struct ssyncp_seq *to,
			      const struct ip_vs_seq *from)
{
	to->init_seq = from->init_seq;
	to->delta = from->delta;
	to->previous_delta = from->previous_delta;
}

/*
 * Write the record of cp to buf, which has room for SSYNCP_RECORD_MAX bytes
 * and is aligned to SSYNCP_ALIGN; every byte up to the returned length is
 * set. The caller holds cp->lock, and a reference or the RCU read lock (which
 * keeps pe and pe_data: see ip_vs_conn_rcu_free()).
 */
size_t ssyncp_record_build(void *buf, const struct ip_vs_conn *cp,
			   unsigned long age)
{
	u16 marks = cp->old_state;
	struct ssyncp_conn *rec = buf;
	void *tail = rec + 1;

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
	memset(rec->reserved, 0, sizeof(rec->reserved));
	ssyncp_record_addr(rec->caddr, cp->af, &cp->caddr);
	ssyncp_record_addr(rec->vaddr, cp->af, &cp->vaddr);
	ssyncp_record_addr(rec->daddr, cp->daf, &cp->daddr);

	if (cp->flags & IP_VS_CONN_F_SEQ_MASK) {
		struct ssyncp_seq_option *seq = tail;

		rec->head.options |= SSYNCP_OPT_SEQ;
		ssyncp_record_seq(&seq->in, &cp->in_seq);
		ssyncp_record_seq(&seq->out, &cp->out_seq);
		tail = seq + 1;
	}

	if (cp->pe && cp->pe_data && cp->pe_data_len) {
		struct ssyncp_pe *pe = tail;
		size_t len = sizeof(*pe) + cp->pe_data_len;

		rec->head.options |= SSYNCP_OPT_PE;
		memset(pe, 0, ALIGN(len, SSYNCP_ALIGN));
		strscpy(pe->name, cp->pe->name, sizeof(pe->name));
		pe->len = cp->pe_data_len;
		memcpy(pe + 1, cp->pe_data, cp->pe_data_len);
		tail += ALIGN(len, SSYNCP_ALIGN);
	}

	rec->head.len = tail - buf;
	return rec->head.len;
}
