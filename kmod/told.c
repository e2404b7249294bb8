// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is asked about a connection now and then: see told.h.
 */
#include "told.h"

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
 * Since the packet that peers were told of last, or, of a copy, since a peer told
 * of it: ssyncp_conn_tell() and ssyncp_set() leave it in sync_endtime. At least
 * 1; 0 where it is not known. Under cp->lock.
 */
u32 ssyncp_conn_told_ms(const struct ip_vs_conn *cp)
{
	unsigned long then = cp->sync_endtime, now = jiffies;

	if (!(cp->old_state & SSYNCP_KNOWN) ||
	    READ_ONCE(cp->ipvs->sync_state) & IP_VS_STATE_MASTER)
		return 0;
	if (cp->old_state & SSYNCP_LOCAL)
		then -= ssyncp_refresh_interval(cp);
	if (time_after(then, now))
		then = now;
	return max_t(u32, ssyncp_record_msecs(now - then), 1);
}

/* Pinned by n_control; behind that, freed under RCU. */
bool ssyncp_conn_has_template(const struct ip_vs_conn *cp)
{
	while ((cp = READ_ONCE(cp->control))) {
		if (cp->flags & IP_VS_CONN_F_TEMPLATE)
			return true;
	}
	return false;
}

static unsigned int ssyncp_timeout_of(struct netns_ipvs *ipvs, u16 protocol,
				      int state)
{
	struct ip_vs_proto_data *pd = ip_vs_proto_data_get(ipvs, protocol);

	if (!pd || !pd->timeout_table)
		return INT_MAX;
	/* ipvsadm --set may write it just now. */
	return READ_ONCE(pd->timeout_table[state]);
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
