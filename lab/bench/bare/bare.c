// SPDX-License-Identifier: GPL-2.0-only
/*
 * What it takes IPVS alone to make connections: ip_vs_conn_new() in a loop, in
 * the namespace of who loads this, for the clients of the benchmark. Its real
 * server is that of a connection which is there already. For the lab only.
 */
#include <linux/inet.h>
#include <linux/module.h>
#include <linux/nsproxy.h>
#include <linux/timekeeping.h>

#include <net/ip_vs.h>
#include <net/net_namespace.h>

/* Of the benchmark: see client and endpoint in lab/bench/meter. */
#define BARE_VIRTUAL	0xc6336401	/* 198.51.100.1 */
#define BARE_VPORT	80
#define BARE_CLIENTS	0x0a000000	/* 10.0.0.0, 2^14 ports each */

static unsigned int first;
module_param(first, uint, 0);
MODULE_PARM_DESC(first, "number of the first client");

static unsigned int count;
module_param(count, uint, 0);
MODULE_PARM_DESC(count, "of the connections to make");

static unsigned int like;
module_param(like, uint, 0);
MODULE_PARM_DESC(like, "number of the client that has a connection");

static u64 nanoseconds;
module_param(nanoseconds, ullong, 0444);
MODULE_PARM_DESC(nanoseconds, "that it took");

static void bare_param(struct netns_ipvs *ipvs, struct ip_vs_conn_param *p,
		       union nf_inet_addr addrs[2], unsigned int client)
{
	addrs[0] = (union nf_inet_addr){
		.ip = htonl(BARE_CLIENTS | client >> 14),
	};
	addrs[1] = (union nf_inet_addr){ .ip = htonl(BARE_VIRTUAL) };
	ip_vs_conn_fill_param(ipvs, AF_INET, IPPROTO_TCP, &addrs[0],
			      htons(16384 | (client & 16383)), &addrs[1],
			      htons(BARE_VPORT), p);
}

static int __init bare_init(void)
{
	struct netns_ipvs *ipvs = net_ipvs(current->nsproxy->net_ns);
	union nf_inet_addr addrs[2];
	struct ip_vs_conn_param p;
	struct ip_vs_conn *old, *cp;
	unsigned int i;
	u64 begin;

	bare_param(ipvs, &p, addrs, like);
	old = ip_vs_conn_in_get(&p);
	if (!old)
		return -ENOENT;

	begin = ktime_get_raw_ns();
	for (i = 0; i < count; i++) {
		bare_param(ipvs, &p, addrs, first + i);
		rcu_read_lock();
		/* The reference of old keeps its dest. */
		cp = ip_vs_conn_new(&p, old->daf, &old->daddr, old->dport,
				    IP_VS_CONN_F_MASQ | IP_VS_CONN_F_SYNC,
				    old->dest, 0);
		rcu_read_unlock();
		if (!cp)
			break;
		cp->timeout = 15 * 60 * HZ;
		ip_vs_conn_put(cp);
	}
	nanoseconds = ktime_get_raw_ns() - begin;
	ip_vs_conn_put(old);
	return i == count ? 0 : -ENOMEM;
}

static void __exit bare_exit(void)
{
}

module_init(bare_init);
module_exit(bare_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("ssyncp: what ip_vs_conn_new() costs");
