// SPDX-License-Identifier: GPL-2.0-only
/* A namespace has a connection table of its own, which resizes. */
#include <net/ip_vs.h>

struct ip_vs_rht *ssyncp_probe(struct netns_ipvs *ipvs)
{
	return rcu_dereference(ipvs->conn_tab);
}
