/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the module share, grouped by the file that defines it.
 */
#ifndef _SSYNCP_MODULE_H
#define _SSYNCP_MODULE_H

#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/static_call.h>
#include <linux/workqueue.h>

#include <net/net_namespace.h>
#include <net/netns/generic.h>

#include "compat.h"
#include "uapi/ssyncp.h"

/*
 * Marks live in the spare high bits of cp->old_state; its low bits hold the
 * state that peers were last told. Written under cp->lock. IPVS itself uses
 * the field only in its own sync code, so while the in-kernel master runs we
 * write nothing (hook.c), and what it overwrites costs us one extra record.
 */
#define SSYNCP_STATE_MASK	0x000f
#define SSYNCP_KNOWN		0x2000	/* peers were told of it, or told us */
#define SSYNCP_LOCAL		0x4000	/* we saw packets of it: we own it */
#define SSYNCP_DIRTY		0x8000	/* in the queue */

/*
 * The largest record: a template with sequence numbers and PE data; and the
 * largest unit that is read at once: a connection with its two controllers,
 * of which only the template has PE data.
 */
#define SSYNCP_PE_SIZE_MAX	ALIGN(sizeof(struct ssyncp_pe) + \
				      SSYNCP_PE_DATA_MAX, SSYNCP_ALIGN)
#define SSYNCP_RECORD_MAX	(sizeof(struct ssyncp_conn) + \
				 sizeof(struct ssyncp_seq_option) + \
				 SSYNCP_PE_SIZE_MAX)
#define SSYNCP_CHAIN_MAX	(3 * SSYNCP_RECORD_MAX)

struct ssyncp_queue;
struct ssyncp_snapshot;
struct ssyncp_injector;

/* main.c: module parameters */
extern unsigned int ssyncp_queue_len;
extern unsigned int ssyncp_local_hold_ms;
extern unsigned int ssyncp_max_conns;
extern unsigned int ssyncp_max_timeout;
extern bool ssyncp_skip_closing;
extern bool ssyncp_accept_unbound;
extern bool ssyncp_userns_root;

/* net.c: the state of one network namespace */
struct ssyncp_counters {
	u64	value[SSYNCP_COUNTERS];
};

struct ssyncp_net {
	/*
	 * Read by packet hooks under RCU; written under ssyncp_mutex, and
	 * freed a grace period after it was unpublished.
	 */
	struct ssyncp_queue __rcu	*queue;
	struct ssyncp_counters __percpu	*counters;
};

extern unsigned int ssyncp_net_id;
extern struct mutex ssyncp_mutex;
extern struct workqueue_struct *ssyncp_workqueue;

int ssyncp_net_init(void);
void ssyncp_net_exit(void);
void ssyncp_net_stats(struct net *net, struct ssyncp_stats *stats);

static inline struct ssyncp_net *ssyncp_net(struct net *net)
{
	return net_generic(net, ssyncp_net_id);
}

/* The same for packet hooks, which hold the RCU read lock already. */
static inline struct ssyncp_net *ssyncp_net_rcu(struct net *net)
{
	return rcu_dereference(net->gen)->ptr[ssyncp_net_id];
}

#define ssyncp_count(sn, name) ssyncp_count_by(sn, name, 1)
#define ssyncp_count_by(sn, name, n) \
	this_cpu_add((sn)->counters->value[SSYNCP_COUNTER_##name], n)

static inline void ssyncp_count_refused(struct ssyncp_net *sn, u32 reason)
{
	this_cpu_inc(sn->counters->value[SSYNCP_COUNTER_REFUSED + reason]);
}

/* hook.c: the interposition in IPVS; under ssyncp_mutex, but for the last */
int ssyncp_hook_get(struct net *net);
void ssyncp_hook_put(void);
u32 ssyncp_hook_state(void);
void ssyncp_hook_settle(void);

/* read.c: the reader's side of it */
ssize_t ssyncp_queue_read(struct ssyncp_queue *q, char __user *buf,
			  size_t count, bool nonblock);
__poll_t ssyncp_queue_poll(struct ssyncp_queue *q, struct file *file,
			   struct poll_table_struct *wait);

/* attach.c: how long it lives */
struct ssyncp_queue *ssyncp_queue_attach(struct net *net,
					 const struct ssyncp_attach *req);
void ssyncp_queue_detach(struct ssyncp_queue *q);
void ssyncp_queue_net_exit(struct net *net);
u32 ssyncp_queue_state(const struct ssyncp_queue *q);
unsigned int ssyncp_queue_size(const struct ssyncp_queue *q);

/* nfct.c: sequence numbers that conntrack adjusts */
#ifdef CONFIG_IP_VS_NFCT
bool ssyncp_nfct_find(const struct ip_vs_conn *cp,
		      struct ssyncp_seq_option *seq);
bool ssyncp_nfct_holds(const struct ip_vs_conn *cp);
void ssyncp_nfct_adopt(struct ip_vs_conn *cp, const struct sk_buff *skb);
#else
static inline bool ssyncp_nfct_find(const struct ip_vs_conn *cp,
				    struct ssyncp_seq_option *seq)
{
	return false;
}

static inline bool ssyncp_nfct_holds(const struct ip_vs_conn *cp)
{
	return false;
}

static inline void ssyncp_nfct_adopt(struct ip_vs_conn *cp,
				     const struct sk_buff *skb)
{
}
#endif

/*
 * The adjustments of cp, in seq; NULL where there are none. Only an application
 * (FTP) makes them. Under RCU, or with a reference to cp.
 */
static inline const struct ssyncp_seq_option *
ssyncp_nfct_seq(const struct ip_vs_conn *cp, struct ssyncp_seq_option *seq)
{
	if (likely(!cp->app))
		return NULL;
	return ssyncp_nfct_find(cp, seq) ? seq : NULL;
}

/* told.c: what peers know of a connection; more of it is in told.h */
bool ssyncp_conn_due(const struct ip_vs_conn *cp);
u32 ssyncp_conn_told_ms(const struct ip_vs_conn *cp);
bool ssyncp_conn_has_template(const struct ip_vs_conn *cp);
u32 ssyncp_shortest_timeout_ms(struct netns_ipvs *ipvs);

/* record.c: one connection as a record */
size_t ssyncp_record_build(void *buf, const struct ip_vs_conn *cp,
			   unsigned long age,
			   const struct ssyncp_seq_option *nfct);
u32 ssyncp_record_msecs(unsigned long j);

/* snapshot.c: every connection once */
struct ssyncp_snapshot *ssyncp_snapshot_open(struct net *net, u32 flags);
void ssyncp_snapshot_close(struct ssyncp_snapshot *s);
ssize_t ssyncp_snapshot_read(struct ssyncp_snapshot *s, char __user *buf,
			     size_t count);

/* inject.c: what peers advertised */
struct ssyncp_injector *ssyncp_injector_open(struct net *net);
void ssyncp_injector_close(struct ssyncp_injector *in);
ssize_t ssyncp_injector_write(struct ssyncp_injector *in,
			      const char __user *buf, size_t count);
long ssyncp_injector_refusals(struct ssyncp_injector *in,
			      struct ssyncp_refusals *req);

/* resolve.c: functions of ip_vs that it does not export */
DECLARE_STATIC_CALL(ssyncp_find_dest, ip_vs_find_dest);
DECLARE_STATIC_CALL(ssyncp_try_bind_dest, ip_vs_try_bind_dest);
DECLARE_STATIC_CALL(ssyncp_ct_in_get, ip_vs_ct_in_get);
DECLARE_STATIC_CALL(ssyncp_pe_getbyname, __ip_vs_pe_getbyname);
DECLARE_STATIC_CALL(ssyncp_fill_cport, ip_vs_conn_fill_cport);
DECLARE_STATIC_CALL(ssyncp_service_find, ip_vs_service_find);

/* Static in ip_vs: only the type of this prototype is used. */
void *ssyncp_seq_next_sample(struct seq_file *seq, void *v, loff_t *pos);
DECLARE_STATIC_CALL(ssyncp_seq_next, ssyncp_seq_next_sample);

extern u32 ssyncp_missing;	/* SSYNCP_MISSING_* */

int ssyncp_resolve(void);

/* device.c: /dev/ssyncp */
int ssyncp_device_init(void);
void ssyncp_device_exit(void);

#endif /* _SSYNCP_MODULE_H */
