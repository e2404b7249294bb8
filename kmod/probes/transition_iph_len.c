// SPDX-License-Identifier: GPL-2.0-only
/* state_transition() is told the length of the IP header. */
#include <net/ip_vs.h>

static void ssyncp_probe(struct ip_vs_conn *cp, int direction,
			 const struct sk_buff *skb,
			 struct ip_vs_proto_data *pd, unsigned int iph_len)
{
}

struct ip_vs_protocol ssyncp_protocol = {
	.state_transition = ssyncp_probe,
};
