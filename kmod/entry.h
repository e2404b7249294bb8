/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A record that a peer's connection came in, on its way through parse.c,
 * judge.c, dest.c and inject.c.
 */
#ifndef _SSYNCP_ENTRY_H
#define _SSYNCP_ENTRY_H

#include "module.h"

/* A record taken apart, its times in jiffies. */
struct ssyncp_entry {
	const struct ssyncp_conn	*conn;
	const struct ssyncp_seq_option	*seq;
	const struct ssyncp_pe		*pe;
	union nf_inet_addr		caddr;
	union nf_inet_addr		vaddr;
	union nf_inet_addr		daddr;
	u32				flags;
	unsigned long			timeout;	/* 0: unknown */
	unsigned long			age;
	bool				template;
	bool				no_cport;
};

/* A record may be applied; every other verdict is a SSYNCP_REFUSED_*. */
#define SSYNCP_APPLIED		(-1)

/* judge.c */
int ssyncp_validate(struct ssyncp_net *sn, struct ssyncp_entry *e);
int ssyncp_admit(const struct ip_vs_conn *cp, const struct ssyncp_entry *e);
bool ssyncp_takes_answers(struct netns_ipvs *ipvs,
			  const struct ssyncp_entry *e, u32 method);
bool ssyncp_unbound_ok(const struct ssyncp_entry *e);
bool ssyncp_closing_news(const struct ssyncp_entry *e);

size_t ssyncp_parse(struct ssyncp_entry *e, const void *buf, size_t left);
struct ip_vs_dest *ssyncp_dest(struct netns_ipvs *ipvs,
			       const struct ssyncp_entry *e);
unsigned long ssyncp_own_timeout(struct netns_ipvs *ipvs,
				 const struct ssyncp_entry *e,
				 const struct ip_vs_dest *dest);

#endif /* _SSYNCP_ENTRY_H */
