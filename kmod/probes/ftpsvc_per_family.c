// SPDX-License-Identifier: GPL-2.0-only
/* FTP services are counted by address family. */
#include <net/ip_vs.h>

int ssyncp_probe(struct netns_ipvs *ipvs)
{
	return atomic_read(&ipvs->ftpsvc_counter[IP_VS_AF_INET]);
}
