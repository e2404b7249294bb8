// SPDX-License-Identifier: GPL-2.0-only
/*
 * Functions of ip_vs that it does not export: the ones that its own backup
 * thread and /proc file use.
 *
 * Their addresses come from a kprobe that is registered disabled, so no text
 * is patched. They are on ip_vs's list of sealed ENDBR instructions, because
 * nothing takes their address: an indirect call would fault on a processor
 * with IBT. A static call is a direct call.
 *
 * On other architectures than x86 a static call may be an indirect one.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kprobes.h>
#include <linux/seq_file.h>

#include "module.h"

DEFINE_STATIC_CALL_NULL(ssyncp_find_dest, ip_vs_find_dest);
DEFINE_STATIC_CALL_NULL(ssyncp_try_bind_dest, ip_vs_try_bind_dest);
DEFINE_STATIC_CALL_NULL(ssyncp_ct_in_get, ip_vs_ct_in_get);
DEFINE_STATIC_CALL_NULL(ssyncp_pe_getbyname, __ip_vs_pe_getbyname);
DEFINE_STATIC_CALL_NULL(ssyncp_fill_cport, ip_vs_conn_fill_cport);
DEFINE_STATIC_CALL_NULL(ssyncp_service_find, ip_vs_service_find);
DEFINE_STATIC_CALL_NULL(ssyncp_seq_next, ssyncp_seq_next_sample);

u32 ssyncp_missing;

/* What is not there is noted as missing; no memory is an error. */
static void *ssyncp_lookup(const char *name, u32 missing, int *failed)
{
	struct kprobe kp = {
		.symbol_name	= name,
		.flags		= KPROBE_FLAG_DISABLED,
	};
	void *addr;
	int err;

	err = register_kprobe(&kp);
	if (err == -ENOMEM) {
		*failed = err;
		return NULL;
	}
	if (err) {
		pr_warn("cannot resolve %s (%d): what needs it is refused\n",
			name, err);
		ssyncp_missing |= missing;
		return NULL;
	}
	addr = kp.addr;
	unregister_kprobe(&kp);
	return addr;
}

/* The cast is for older kernels, whose static_call_update() compares types. */
#define ssyncp_resolve_one(name, type, symbol, missing, failed)		\
	static_call_update(name,					\
			   (typeof(type) *)ssyncp_lookup("ip_vs:" symbol, \
							  missing, failed))

int ssyncp_resolve(void)
{
	int err = 0;

	ssyncp_resolve_one(ssyncp_find_dest, ip_vs_find_dest, "ip_vs_find_dest",
			   SSYNCP_MISSING_FIND_DEST, &err);
	ssyncp_resolve_one(ssyncp_try_bind_dest, ip_vs_try_bind_dest, "ip_vs_try_bind_dest",
			   SSYNCP_MISSING_TRY_BIND_DEST, &err);
	ssyncp_resolve_one(ssyncp_ct_in_get, ip_vs_ct_in_get, "ip_vs_ct_in_get",
			   SSYNCP_MISSING_CT_IN_GET, &err);
	ssyncp_resolve_one(ssyncp_pe_getbyname, __ip_vs_pe_getbyname, "__ip_vs_pe_getbyname",
			   SSYNCP_MISSING_PE_GETBYNAME, &err);
	ssyncp_resolve_one(ssyncp_fill_cport, ip_vs_conn_fill_cport, "ip_vs_conn_fill_cport",
			   SSYNCP_MISSING_FILL_CPORT, &err);
	ssyncp_resolve_one(ssyncp_service_find, ip_vs_service_find, "ip_vs_service_find",
			   SSYNCP_MISSING_SERVICE_FIND, &err);
	ssyncp_resolve_one(ssyncp_seq_next, ssyncp_seq_next_sample,
			   "ip_vs_conn_seq_next",
			   SSYNCP_MISSING_CONN_SEQ_NEXT, &err);
	return err;
}
