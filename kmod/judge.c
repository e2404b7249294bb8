// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a peer may say, and what it may change here. Whatever a record holds
 * came over a network: it is judged by itself, then against the connection
 * that it would change, and against those whose packets it would take.
 */
#include "entry.h"
#include "told.h"

static bool ssyncp_family_ok(int family)
{
	return family == AF_INET ||
	       (IS_ENABLED(CONFIG_IP_VS_IPV6) && family == AF_INET6);
}

/*
 * An entry without its client port matches any port of that client. Only the
 * data connection that an FTP server listens for is one.
 */
static bool ssyncp_flags_ok(const struct ssyncp_entry *e)
{
	const struct ssyncp_conn *rec = e->conn;

	if (rec->flags & IP_VS_CONN_F_ONE_PACKET)
		return false;
	if ((rec->flags & IP_VS_CONN_F_FWD_MASK) > IP_VS_CONN_F_BYPASS)
		return false;
	if (e->pe && !e->template)
		return false;
	if (e->no_cport)
		return !e->template && !rec->cport &&
		       rec->protocol == IPPROTO_TCP &&
		       rec->state == IP_VS_TCP_S_LISTEN &&
		       (rec->flags & IP_VS_CONN_F_FWD_MASK) ==
		       IP_VS_CONN_F_MASQ;
	/* Newer kernels invalidate templates so, and never find them again. */
	if (e->template && rec->dport == htons(0xffff))
		return false;
	/*
	 * A connection with port 0 is never found again; a template with a
	 * port would be found as a connection, and counted as one.
	 */
	return e->template == !rec->cport;
}

static unsigned long ssyncp_clamp_timeout(struct ssyncp_net *sn, u32 ms)
{
	u64 max_ms = (u64)READ_ONCE(ssyncp_max_timeout) * MSEC_PER_SEC;

	if (ms > max_ms) {
		ssyncp_count(sn, CLAMPED);
		ms = max_ms;
	}
	return msecs_to_jiffies(min_t(u32, ms, U32_MAX >> 1));
}

/* By itself: may it be? Fills in what follows from it. */
int ssyncp_validate(struct ssyncp_net *sn, struct ssyncp_entry *e)
{
	const struct ssyncp_conn *rec = e->conn;
	struct ip_vs_protocol *pp;

	e->template = rec->flags & IP_VS_CONN_F_TEMPLATE;
	e->no_cport = rec->flags & IP_VS_CONN_F_NO_CPORT;
	e->flags = (rec->flags & IP_VS_CONN_F_BACKUP_MASK) |
		   IP_VS_CONN_F_SYNC;
	if (IS_ENABLED(CONFIG_IP_VS_NFCT))
		e->flags &= ~IP_VS_CONN_F_SEQ_MASK;

	if (!ssyncp_family_ok(rec->family) ||
	    !ssyncp_family_ok(rec->dest_family))
		return SSYNCP_REFUSED_FAMILY;

	pp = ip_vs_proto_get(rec->protocol);
	if (!pp && !(e->template && rec->protocol == IPPROTO_IP))
		return SSYNCP_REFUSED_PROTOCOL;
	if (rec->state >= (e->template ? IP_VS_CTPL_S_LAST : pp->num_states))
		return SSYNCP_REFUSED_STATE;
	if (!ssyncp_flags_ok(e))
		return SSYNCP_REFUSED_FLAGS;
	if (e->template && ssyncp_missing & SSYNCP_MISSING_CT_IN_GET)
		return SSYNCP_REFUSED_UNRESOLVED;
	if (e->pe && ssyncp_missing & SSYNCP_MISSING_PE_GETBYNAME)
		return SSYNCP_REFUSED_UNRESOLVED;

	e->age = msecs_to_jiffies(min_t(u32, rec->age_ms, U32_MAX >> 1));
	if (rec->timeout_ms) {
		e->timeout = ssyncp_clamp_timeout(sn, rec->timeout_ms);
		if (e->age >= e->timeout)
			return SSYNCP_REFUSED_EXPIRED;
	}
	return SSYNCP_APPLIED;
}

/*
 * Did cp, which is ours, have a packet just now? Under cp->lock. A queued one
 * had, and its timer may not know yet. While the in-kernel master runs nobody
 * marks what is local: then only what was made here is held.
 */
static bool ssyncp_held(const struct ip_vs_conn *cp, unsigned long age)
{
	unsigned long hold = READ_ONCE(ssyncp_local_hold_ms);
	u16 queued = SSYNCP_LOCAL | SSYNCP_DIRTY;

	return ssyncp_conn_owned(cp) &&
	       (age < msecs_to_jiffies(hold) ||
		(hold && (cp->old_state & queued) == queued));
}

/* How far a connection has come in its life. */
static int ssyncp_progress(u16 protocol, u16 state)
{
	if (ssyncp_state_opening(protocol, state))
		return 0;
	if (ssyncp_state_closing(protocol, state))
		return 3;
	if (protocol == IPPROTO_TCP)
		return state == IP_VS_TCP_S_ESTABLISHED ? 1 : 2;
	if (protocol == IPPROTO_SCTP)
		return state == IP_VS_SCTP_S_ESTABLISHED ? 1 : 2;
	return 1;
}

/*
 * What two messages may differ in the time that they take, and for a template,
 * which may move back.
 */
#define SSYNCP_SLACK		HZ
#define SSYNCP_TEMPLATE_SLACK	(HZ / 4)
#define SSYNCP_ENDED_SLACK	(HZ / 2)

/*
 * The age that e must not be over, to be news of cp. Packets of one handshake
 * follow each other within less than messages about them differ in the time
 * that they take: what brings a connection further in its life is not old news
 * for being a little older. Nor is it of a template, which changes without a
 * packet, to ASSURED and never back. Nor is it of a connection that ended here
 * while a peer has it open: its client uses the port again there, and the
 * daemon, which was refused that at first (local_hold), says it half a second
 * older than it is. Were it wrong, a connection that ended would be a copy for
 * a while.
 */
static unsigned long ssyncp_news_age(const struct ip_vs_conn *cp,
				     const struct ssyncp_entry *e,
				     unsigned long age)
{
	const struct ssyncp_conn *rec = e->conn;

	if (e->template)
		return age + SSYNCP_TEMPLATE_SLACK;
	if (ssyncp_progress(cp->protocol, rec->state) >
	    ssyncp_progress(cp->protocol, cp->state))
		return age + SSYNCP_SLACK;
	if (ssyncp_conn_owned(cp) && ssyncp_conn_closing(cp) &&
	    !ssyncp_state_closing(cp->protocol, rec->state))
		return age + SSYNCP_ENDED_SLACK;
	return age;
}

/* May e change cp? Under cp->lock. */
int ssyncp_admit(const struct ip_vs_conn *cp,
		 const struct ssyncp_entry *e)
{
	unsigned long age = ssyncp_conn_age(cp);

	if (ssyncp_held(cp, age))
		return SSYNCP_REFUSED_LOCAL_HOLD;
	if (e->age > ssyncp_news_age(cp, e, age))
		return SSYNCP_REFUSED_STALE;
	return SSYNCP_APPLIED;
}

/*
 * Would e get the answers of a connection that is held? Those are found by the
 * real server and the client, the newest entry first: through another virtual
 * address in front of the same real server, e would take them away. Under RCU;
 * method is the one that e will have.
 */
bool ssyncp_takes_answers(struct netns_ipvs *ipvs,
			  const struct ssyncp_entry *e, u32 method)
{
	const struct ssyncp_conn *rec = e->conn;
	bool masq = method == IP_VS_CONN_F_MASQ;
	struct ip_vs_conn_param answer;
	struct ip_vs_conn *cp;
	bool held;

	if (e->template || e->no_cport || rec->family != rec->dest_family)
		return false;
	ip_vs_conn_fill_param(ipvs, rec->family, rec->protocol,
			      masq ? &e->daddr : &e->vaddr,
			      masq ? rec->dport : rec->vport,
			      &e->caddr, rec->cport, &answer);
	cp = ip_vs_conn_out_get(&answer);
	if (!cp)
		return false;
	spin_lock_bh(&cp->lock);
	held = ssyncp_held(cp, ssyncp_conn_age(cp));
	spin_unlock_bh(&cp->lock);
	__ip_vs_conn_put(cp);
	return held;
}

/* Without its real server, may e be created? */
bool ssyncp_unbound_ok(const struct ssyncp_entry *e)
{
	u32 method = e->flags & IP_VS_CONN_F_FWD_MASK;

	return READ_ONCE(ssyncp_accept_unbound) && !e->template &&
	       !e->no_cport && e->conn->family == e->conn->dest_family &&
	       (method == IP_VS_CONN_F_MASQ || method == IP_VS_CONN_F_DROUTE);
}

/* Does e say no more than that a connection is closing? */
bool ssyncp_closing_news(const struct ssyncp_entry *e)
{
	if (e->template)
		return false;
	switch (e->conn->protocol) {
	case IPPROTO_TCP:
		return e->conn->state >= IP_VS_TCP_S_FIN_WAIT &&
		       e->conn->state <= IP_VS_TCP_S_LAST_ACK;
	case IPPROTO_SCTP:
		return e->conn->state > IP_VS_SCTP_S_ESTABLISHED;
	default:
		return false;
	}
}
