// SPDX-License-Identifier: GPL-2.0-only
/* Compiles everywhere, or no probe can be trusted. */
#include <net/ip_vs.h>

int ssyncp_probe(struct ip_vs_conn *cp)
{
	return cp->old_state;
}
