/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What peers know of a connection, what its state says about that, and when
 * they must hear of it again: the parts that run for each record (told.c has
 * the rest).
 *
 * A copy lives from the packet that was told last for as long as the
 * connection would. So peers are told again before that time is over, if
 * there were packets: by the next packet, where one comes later than a third
 * of the time (hook.c), or else by a walk over what is due (snapshot.c).
 */
#ifndef _SSYNCP_TOLD_H
#define _SSYNCP_TOLD_H

#include <linux/bits.h>
#include <linux/jiffies.h>

#include "module.h"

/*
 * IPVS does not let a controller expire while its connections live: it puts it
 * off by this much, again and again.
 */
#define SSYNCP_CONTROLLER_LIFE	(60 * HZ)

/* Sets of states, a bit each: no protocol has more than fit. */
#define SSYNCP_TCP_OPENING	(BIT(IP_VS_TCP_S_NONE) |		\
				 BIT(IP_VS_TCP_S_SYN_SENT) |		\
				 BIT(IP_VS_TCP_S_SYN_RECV) |		\
				 BIT(IP_VS_TCP_S_SYNACK))
#define SSYNCP_TCP_CLOSING	(BIT(IP_VS_TCP_S_TIME_WAIT) |		\
				 BIT(IP_VS_TCP_S_CLOSE) |		\
				 BIT(IP_VS_TCP_S_LAST_ACK))
#define SSYNCP_SCTP_OPENING	(BIT(IP_VS_SCTP_S_ESTABLISHED) - 1)
#define SSYNCP_SCTP_CLOSING	(BIT(IP_VS_SCTP_S_SHUTDOWN_ACK_SENT) |	\
				 BIT(IP_VS_SCTP_S_REJECTED) |		\
				 BIT(IP_VS_SCTP_S_CLOSED))

static_assert(IP_VS_TCP_S_LAST <= SSYNCP_STATE_MASK);
static_assert(IP_VS_SCTP_S_LAST <= SSYNCP_STATE_MASK);

/*
 * Nobody answered yet: what a SYN flood consists of. A listening connection
 * is the data connection of an FTP session, announced by its established
 * control connection. Other protocols have one state: only KNOWN tells their
 * connections apart.
 */
static inline bool ssyncp_state_opening(u16 protocol, u16 state)
{
	if (likely(protocol == IPPROTO_TCP))
		return SSYNCP_TCP_OPENING >> state & 1;
	if (protocol == IPPROTO_SCTP)
		return SSYNCP_SCTP_OPENING >> state & 1;
	return true;
}

static inline bool ssyncp_conn_opening(const struct ip_vs_conn *cp)
{
	return ssyncp_state_opening(cp->protocol, cp->state);
}

/*
 * Both sides are done. FIN_WAIT and CLOSE_WAIT are not here: a half-closed
 * connection carries data in the other direction for as long as it likes, and
 * with direct routing or tunnels it is all that the director ever sees.
 */
static inline bool ssyncp_state_closing(u16 protocol, u16 state)
{
	if (likely(protocol == IPPROTO_TCP))
		return SSYNCP_TCP_CLOSING >> state & 1;
	if (protocol == IPPROTO_SCTP)
		return SSYNCP_SCTP_CLOSING >> state & 1;
	return false;
}

static inline bool ssyncp_conn_closing(const struct ip_vs_conn *cp)
{
	return ssyncp_state_closing(cp->protocol, cp->state);
}

/*
 * A template that lost its real server: see ip_vs_check_template(). Older
 * kernels change vport as well, but dport comes first.
 */
static inline bool ssyncp_conn_invalid(const struct ip_vs_conn *cp)
{
	return cp->flags & IP_VS_CONN_F_TEMPLATE && cp->dport == htons(0xffff);
}

/*
 * Ours to speak for: we saw packets of it, or it was made here and neither we
 * nor a peer have spoken of it yet (it is older than we are).
 */
static inline bool ssyncp_conn_owned(const struct ip_vs_conn *cp)
{
	return cp->old_state & SSYNCP_LOCAL ||
	       (!(cp->flags & IP_VS_CONN_F_SYNC) &&
		!(cp->old_state & SSYNCP_KNOWN));
}

/* sync_persist_mode: it is enough that its template is known. */
static inline bool ssyncp_conn_persists(const struct ip_vs_conn *cp)
{
	return unlikely(sysctl_sync_persist_mode(cp->ipvs)) &&
	       ssyncp_conn_has_template(cp);
}

/*
 * Jiffies since the last packet: ip_vs_conn_put() restarts the timer behind
 * each. A timer that does not run yet belongs to a connection whose first
 * packet is still under way. May be called without cp->lock: the fields are
 * read once, and a torn pair costs a wrong age for this once.
 */
static inline unsigned long ssyncp_conn_age(const struct ip_vs_conn *cp)
{
	unsigned long timeout = READ_ONCE(cp->timeout);
	unsigned long age, now = jiffies;

	if (!timer_pending(&cp->timer))
		return 0;
	age = now - (READ_ONCE(cp->timer.expires) - timeout);
	if ((long)age < 0)
		return 0;
	if (unlikely(atomic_read(&cp->n_control)))
		age = min(age, timeout - min_t(unsigned long, timeout,
					       SSYNCP_CONTROLLER_LIFE));
	return age;
}

/*
 * When, behind the packet that was told, peers should hear of a connection
 * again: a third of its lifetime at most, less if the administrator says so.
 */
static inline unsigned long
ssyncp_refresh_interval(const struct ip_vs_conn *cp)
{
	unsigned long max = (unsigned long)READ_ONCE(ssyncp_max_timeout) * HZ;
	unsigned long life = min_t(unsigned long, cp->timeout, max);
	unsigned int period = sysctl_sync_refresh_period(cp->ipvs);

	life = (life >> 2) + (life >> 4);
	return unlikely(period) ? min_t(unsigned long, life, period) : life;
}

/*
 * What old_state remembers as the state told last. For a connection that an
 * application edits (FTP) it is none that there is: its sequence numbers move
 * without a change of state, so each packet is news.
 */
static inline u16 ssyncp_conn_told(const struct ip_vs_conn *cp)
{
	return unlikely(cp->app) ? SSYNCP_STATE_MASK : cp->state;
}

/* Peers are told of cp, with that age. Under cp->lock. */
static inline void ssyncp_conn_tell(struct ip_vs_conn *cp, unsigned long age)
{
	cp->old_state = (cp->old_state & SSYNCP_DIRTY) | SSYNCP_LOCAL |
			SSYNCP_KNOWN | ssyncp_conn_told(cp);
	cp->sync_endtime = jiffies - age + ssyncp_refresh_interval(cp);
}

/* Peers are not told of cp in its present state. Under cp->lock. */
static inline void ssyncp_conn_pass_over(struct ip_vs_conn *cp)
{
	cp->old_state = (cp->old_state & ~SSYNCP_STATE_MASK) |
			ssyncp_conn_told(cp);
	cp->sync_endtime = jiffies + ssyncp_refresh_interval(cp);
}

#endif /* _SSYNCP_TOLD_H */
