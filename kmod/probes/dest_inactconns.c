// SPDX-License-Identifier: GPL-2.0-only
/* A real server counts its inactive connections, not its total. */
#include <net/ip_vs.h>

int ssyncp_probe(struct ip_vs_dest *dest)
{
	return atomic_read(&dest->inactconns);
}
