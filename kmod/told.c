// SPDX-License-Identifier: GPL-2.0-only
/*
 * What peers know of a connection, what its state says about that, and when
 * they must hear of it again.
 *
 * A copy lives from the packet that was told last for as long as the
 * connection would. So peers are told again before that time is over, if
 * there were packets: by the next packet, where one comes later than a third
 * of the time (hook.c), or else by a walk over what is due (snapshot.c).
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
 * When, behind the packet that was told, peers should hear of a connection
 * again: a third of its lifetime at most, less if the administrator says so.
 */
static unsigned long ssyncp_refresh_interval(const struct ip_vs_conn *cp)
{
	unsigned long life = min_t(unsigned long, cp->timeout,
				   (unsigned long)ssyncp_max_timeout * HZ);
	unsigned int period = sysctl_sync_refresh_period(cp->ipvs);

	life = (life >> 2) + (life >> 4);
	return period ? min_t(unsigned long, life, period) : life;
}

/*
 * What old_state remembers as the state told last. For a connection that an
 * application edits (FTP) it is none that there is: its sequence numbers move
 * without a change of state, so each packet is news.
 */
static u16 ssyncp_conn_told(const struct ip_vs_conn *cp)
{
	return cp->app ? SSYNCP_STATE_MASK : cp->state;
}

/* Peers are told of cp, with that age. Under cp->lock. */
void ssyncp_conn_tell(struct ip_vs_conn *cp, unsigned long age)
{
	cp->old_state = (cp->old_state & SSYNCP_DIRTY) | SSYNCP_LOCAL |
			SSYNCP_KNOWN | ssyncp_conn_told(cp);
	cp->sync_endtime = jiffies - age + ssyncp_refresh_interval(cp);
}

/* Peers are not told of cp in its present state. Under cp->lock. */
void ssyncp_conn_pass_over(struct ip_vs_conn *cp)
{
	cp->old_state = (cp->old_state & ~SSYNCP_STATE_MASK) |
			ssyncp_conn_told(cp);
	cp->sync_endtime = jiffies + ssyncp_refresh_interval(cp);
}

/*
 * Time to tell of cp again, and something to tell: a later packet than the one
 * that was told, which sync_endtime says by the interval that it is ahead. A
 * controller in use grows older and is put off without a packet: it is told
 * again in steps.
 */
bool ssyncp_conn_due(const struct ip_vs_conn *cp)
{
	u16 marks = SSYNCP_LOCAL | SSYNCP_KNOWN | SSYNCP_DIRTY;
	unsigned long end = READ_ONCE(cp->sync_endtime);
	unsigned long now = jiffies, last, told, slack;

	if ((cp->old_state & marks) != (SSYNCP_LOCAL | SSYNCP_KNOWN) ||
	    time_before(now, end))
		return false;
	last = now - ssyncp_conn_age(cp);
	told = end - ssyncp_refresh_interval(cp);
	slack = atomic_read(&cp->n_control) ? cp->timeout >> 4 : HZ / 4;
	return time_after(last, told + slack);
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

/* sync_persist_mode: it is enough that its template is known. */
bool ssyncp_conn_persists(const struct ip_vs_conn *cp)
{
	if (!sysctl_sync_persist_mode(cp->ipvs))
		return false;
	/* Pinned by n_control; behind that, freed under RCU. */
	while ((cp = READ_ONCE(cp->control))) {
		if (cp->flags & IP_VS_CONN_F_TEMPLATE)
			return true;
	}
	return false;
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

static unsigned int ssyncp_timeout_of(struct netns_ipvs *ipvs, u16 protocol,
				      int state)
{
	struct ip_vs_proto_data *pd = ip_vs_proto_data_get(ipvs, protocol);

	return pd && pd->timeout_table ? pd->timeout_table[state] : INT_MAX;
}

/* Of the states in which a connection may still carry data. */
u32 ssyncp_shortest_timeout_ms(struct netns_ipvs *ipvs)
{
	unsigned int t;

	t = ssyncp_timeout_of(ipvs, IPPROTO_TCP, IP_VS_TCP_S_ESTABLISHED);
	t = min(t, ssyncp_timeout_of(ipvs, IPPROTO_TCP,
				     IP_VS_TCP_S_FIN_WAIT));
	t = min(t, ssyncp_timeout_of(ipvs, IPPROTO_TCP,
				     IP_VS_TCP_S_CLOSE_WAIT));
	t = min(t, ssyncp_timeout_of(ipvs, IPPROTO_UDP, IP_VS_UDP_S_NORMAL));
	t = min(t, ssyncp_timeout_of(ipvs, IPPROTO_SCTP,
				     IP_VS_SCTP_S_ESTABLISHED));
	return ssyncp_record_msecs(t);
}
