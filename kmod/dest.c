// SPDX-License-Identifier: GPL-2.0-only
/*
 * The real server that a peer's connection is forwarded to, and what it takes
 * from there.
 */
#include "entry.h"

/*
 * Is e about FTP, and of another port than its service's? The data connection
 * of an active session is from port 20, that of a passive one is to a port
 * that the real server chose and ip_vs_ftp kept. The template of a persistent
 * FTP service is for all ports.
 */
static bool ssyncp_ftp_entry(const struct ssyncp_entry *e)
{
	const struct ssyncp_conn *rec = e->conn;

	if (rec->protocol != IPPROTO_TCP || rec->fwmark)
		return false;
	if (e->template)
		return !rec->vport && !rec->dport;
	return rec->vport == FTPDATA ||
	       (rec->vport == rec->dport && ntohs(rec->vport) >= PROT_SOCK);
}

/*
 * The FTP service that e belongs to. Under RCU. Where its port, or for a
 * template all ports, are another service's, that one's real servers alone
 * may be meant: IPVS, too, looks there first.
 */
static struct ip_vs_service *ssyncp_ftp_service(struct netns_ipvs *ipvs,
						const struct ssyncp_entry *e)
{
	const struct ssyncp_conn *rec = e->conn;
	struct ip_vs_service *svc;

	svc = static_call(ssyncp_service_find)(ipvs, rec->family, 0,
					       rec->protocol, &e->vaddr,
					       rec->vport);
	if (!svc && e->template)
		svc = static_call(ssyncp_service_find)(ipvs, rec->family, 0,
						       rec->protocol,
						       &e->vaddr, FTPPORT);
	return svc && svc->port == FTPPORT ? svc : NULL;
}

/* The real server of an FTP service of that address. Under RCU. */
static struct ip_vs_dest *ssyncp_ftp_dest(struct netns_ipvs *ipvs,
					  const struct ssyncp_entry *e)
{
	const struct ssyncp_conn *rec = e->conn;
	struct ip_vs_service *svc;
	struct ip_vs_dest *dest;

	if (!ssyncp_ftp_entry(e) || !ssyncp_has_ftp_service(ipvs, rec->family) ||
	    ssyncp_missing & SSYNCP_MISSING_SERVICE_FIND)
		return NULL;
	svc = ssyncp_ftp_service(ipvs, e);
	if (!svc)
		return NULL;
	list_for_each_entry_rcu(dest, &svc->destinations, n_list) {
		if (dest->af != rec->dest_family ||
		    !ip_vs_addr_equal(dest->af, &dest->addr, &e->daddr))
			continue;
		/* RFC 959: the data port is the one below the control port. */
		if (rec->vport == FTPDATA &&
		    ntohs(dest->port) != ntohs(rec->dport) + 1)
			continue;
		return dest;
	}
	return NULL;
}

/*
 * The mark that picks the service of e. A template is found by what it is keyed
 * by: the mark of its service, or else an address; then another mark in it
 * says nothing, or it would bring one service's clients to another's real
 * servers.
 */
static u32 ssyncp_service_mark(const struct ssyncp_entry *e)
{
	if (e->template && e->conn->protocol != IPPROTO_IP)
		return 0;
	return e->conn->fwmark;
}

/* Is e keyed as IPVS keys the template of a service of a mark? */
static bool ssyncp_mark_template_ok(const struct ssyncp_entry *e)
{
	const union nf_inet_addr mark = { .ip = htonl(e->conn->fwmark) };

	return e->conn->fwmark && !e->conn->vport &&
	       !memcmp(&e->vaddr, &mark, sizeof(mark));
}

/*
 * The real server of e. Under RCU. A wildcard for the client's port is taken
 * for FTP alone: for a service it would catch every new connection.
 */
struct ip_vs_dest *ssyncp_dest(struct netns_ipvs *ipvs,
			       const struct ssyncp_entry *e)
{
	const struct ssyncp_conn *rec = e->conn;
	struct ip_vs_dest *dest = NULL;

	if (rec->protocol == IPPROTO_IP && !ssyncp_mark_template_ok(e))
		return NULL;
	if (!e->no_cport)
		dest = static_call(ssyncp_find_dest)(ipvs, rec->family,
						     rec->dest_family,
						     &e->daddr, rec->dport,
						     &e->vaddr, rec->vport,
						     rec->protocol,
						     ssyncp_service_mark(e),
						     e->flags);
	/* A real server of all ports gets the port that the client asked. */
	if (dest && !dest->port && !e->template && rec->dport != rec->vport)
		return NULL;
	return dest ?: ssyncp_ftp_dest(ipvs, e);
}

/* The timeout of a connection whose peer could not say it. Under RCU. */
unsigned long ssyncp_own_timeout(struct netns_ipvs *ipvs,
				 const struct ssyncp_entry *e,
				 const struct ip_vs_dest *dest)
{
	struct ip_vs_proto_data *pd;
	struct ip_vs_service *svc;

	if (e->template) {
		/* In jiffies there. */
		svc = dest ? rcu_dereference(dest->svc) : NULL;
		return svc && svc->timeout ? svc->timeout : 3 * 60 * HZ;
	}
	pd = ip_vs_proto_data_get(ipvs, e->conn->protocol);
	if (pd && pd->timeout_table)
		return READ_ONCE(pd->timeout_table[e->conn->state]);
	return 3 * 60 * HZ;
}
