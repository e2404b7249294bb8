// SPDX-License-Identifier: GPL-2.0-only
/*
 * The framing of a record that is written to us: what uapi/ssyncp.h says of
 * lengths, options and padding. What the record means is not looked at here.
 */
#include "entry.h"

/* Nothing behind an IPv4 address. It is aligned as its record is. */
static bool ssyncp_addr_ok(int family, const __u8 *addr)
{
	return family != AF_INET ||
	       !(*(const u32 *)(addr + 4) | *(const u64 *)(addr + 8));
}

/* A name, and zeros to the end of its field. */
static bool ssyncp_name_ok(const char *name)
{
	size_t len = strnlen(name, SSYNCP_PE_NAME_MAX);

	return len && len < SSYNCP_PE_NAME_MAX &&
	       !memchr_inv(name + len, 0, SSYNCP_PE_NAME_MAX - len);
}

/* Take the record at buf apart: its length, or 0 if the framing is broken. */
size_t ssyncp_parse(struct ssyncp_entry *e, const void *buf, size_t left)
{
	const struct ssyncp_conn *rec = buf;
	size_t len = sizeof(*rec);

	memset(e, 0, sizeof(*e));
	if (left < sizeof(*rec) || rec->head.len > left ||
	    rec->head.kind != SSYNCP_KIND_CONN ||
	    rec->head.options & ~(SSYNCP_OPT_SEQ | SSYNCP_OPT_PE))
		return 0;

	if (rec->head.options & SSYNCP_OPT_SEQ) {
		e->seq = buf + len;
		len += sizeof(*e->seq);
	}
	if (rec->head.options & SSYNCP_OPT_PE) {
		size_t used;

		if (len + sizeof(*e->pe) > rec->head.len)
			return 0;
		e->pe = buf + len;
		used = sizeof(*e->pe) + e->pe->len;
		if (len + ALIGN(used, SSYNCP_ALIGN) > rec->head.len)
			return 0;
		if (!e->pe->len || !ssyncp_name_ok(e->pe->name) ||
		    memchr_inv(e->pe->reserved, 0, sizeof(e->pe->reserved)) ||
		    memchr_inv(buf + len + used, 0,
			       ALIGN(used, SSYNCP_ALIGN) - used))
			return 0;
		len += ALIGN(used, SSYNCP_ALIGN);
	}
	if (rec->head.len != len || rec->reserved ||
	    !ssyncp_addr_ok(rec->family, rec->caddr) ||
	    !ssyncp_addr_ok(rec->family, rec->vaddr) ||
	    !ssyncp_addr_ok(rec->dest_family, rec->daddr))
		return 0;

	e->conn = rec;
	memcpy(&e->caddr, rec->caddr, sizeof(e->caddr));
	memcpy(&e->vaddr, rec->vaddr, sizeof(e->vaddr));
	memcpy(&e->daddr, rec->daddr, sizeof(e->daddr));
	return len;
}
