/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A walk over the connections of one namespace that can be put down and taken
 * up again. Which of the files behind it is built the kernel decides (Kbuild):
 * walk_seq.c where IPVS keeps its table to itself, walk_rht.c where each
 * namespace has one that resizes.
 *
 * What is there all the time is met at least once; more than once where the
 * walk had to begin again, or where IPVS moved it.
 */
#ifndef _SSYNCP_WALK_H
#define _SSYNCP_WALK_H

#include "module.h"

struct ssyncp_walk;

struct ssyncp_walk *ssyncp_walk_open(struct net *net);
void ssyncp_walk_close(struct ssyncp_walk *w);

/*
 * Take the walk up: the RCU read lock is held on return, also with NULL, which
 * is the end of it. Connections come without a reference.
 */
struct ip_vs_conn *ssyncp_walk_resume(struct ssyncp_walk *w)
	__acquires(RCU);
struct ip_vs_conn *ssyncp_walk_next(struct ssyncp_walk *w,
				    struct ip_vs_conn *cp);

/*
 * Put the walk down at cp, the connection that came last; the caller then
 * leaves the read-side section. False where cp is dying: try the next one, or
 * leave nevertheless, and some or all of it comes again.
 */
bool ssyncp_walk_stop_at(struct ssyncp_walk *w, struct ip_vs_conn *cp);

#endif /* _SSYNCP_WALK_H */
