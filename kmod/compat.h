/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where kernels differ, and nowhere else. Each SSYNCP_HAVE_* is the answer of
 * a compile-time probe (Kbuild, probes/).
 */
#ifndef _SSYNCP_COMPAT_H
#define _SSYNCP_COMPAT_H

#include <linux/static_call.h>

#include <net/ip_vs.h>

/*
 * The shape of ip_vs_protocol.state_transition: a prototype to take the type
 * of, and a definition of a function that calls `orig`, a static call, and
 * then `behind` with the connection and the packet.
 */
#ifdef SSYNCP_HAVE_TRANSITION_IPH_LEN
void ssyncp_transition_sample(struct ip_vs_conn *cp, int direction,
			      const struct sk_buff *skb,
			      struct ip_vs_proto_data *pd,
			      unsigned int iph_len);
#define SSYNCP_DEFINE_TRANSITION(name, orig, behind)			\
static void name(struct ip_vs_conn *cp, int direction,			\
		 const struct sk_buff *skb, struct ip_vs_proto_data *pd,\
		 unsigned int iph_len)					\
{									\
	static_call_cond(orig)(cp, direction, skb, pd, iph_len);	\
	behind(cp, skb);						\
}
#else
void ssyncp_transition_sample(struct ip_vs_conn *cp, int direction,
			      const struct sk_buff *skb,
			      struct ip_vs_proto_data *pd);
#define SSYNCP_DEFINE_TRANSITION(name, orig, behind)			\
static void name(struct ip_vs_conn *cp, int direction,			\
		 const struct sk_buff *skb, struct ip_vs_proto_data *pd)\
{									\
	static_call_cond(orig)(cp, direction, skb, pd);			\
	behind(cp, skb);						\
}
#endif

static_assert(__same_type(&ssyncp_transition_sample,
			  ((struct ip_vs_protocol *)0)->state_transition));

/*
 * A connection of dest became active or inactive. Newer kernels count all
 * connections of a dest and derive the inactive ones.
 */
static inline void ssyncp_dest_set_active(struct ip_vs_dest *dest, bool active)
{
	atomic_add(active ? 1 : -1, &dest->activeconns);
#ifdef SSYNCP_HAVE_DEST_INACTCONNS
	atomic_add(active ? -1 : 1, &dest->inactconns);
#endif
}

/* Is there an FTP service of that family? It may be of another one. */
static inline bool ssyncp_has_ftp_service(struct netns_ipvs *ipvs, int family)
{
#ifdef SSYNCP_HAVE_FTPSVC_PER_FAMILY
	return atomic_read(&ipvs->ftpsvc_counter[ip_vs_af_index(family)]);
#else
	return atomic_read(&ipvs->ftpsvc_counter);
#endif
}

/*
 * Is there a table to put connections into? Newer kernels make one for each
 * namespace, with its first service, and ip_vs_conn_new() relies on it. It
 * then stays until the namespace goes.
 */
static inline bool ssyncp_has_conn_table(struct netns_ipvs *ipvs)
{
#ifdef SSYNCP_HAVE_CONN_TAB
	return rcu_access_pointer(ipvs->conn_tab);
#else
	return true;
#endif
}

#endif /* _SSYNCP_COMPAT_H */
