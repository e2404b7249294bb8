// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where we stand in the packet path, and what is news there.
 *
 * IPVS calls the state_transition() of a protocol for every packet of a
 * connection. The first reader that attaches in any namespace puts ours in
 * front of it; the last one that leaves takes it away again. Nobody attached,
 * no code in the packet path.
 *
 * The data connection of an FTP session is the one that is born without a
 * packet of its own: ip_vs_ftp creates it when it reads PASV or PORT, and
 * calls ip_vs_tcp_conn_listen(). It must be known elsewhere before its first
 * packet, so a return probe announces it from there; only FTP pays for it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kprobes.h>
#include <linux/module.h>

#include "queue.h"
#include "told.h"

/*
 * Something about cp may be worth telling. Called from packet hooks, which
 * hold a reference to cp, or to a connection whose n_control pins it, and the
 * RCU read lock; in process context with bottom halves enabled, too
 * (LOCAL_OUT), and from the return probe, where enabling them would run
 * softirqs inside the probe: hence irqsave.
 */
static void ssyncp_news(struct ip_vs_conn *cp)
{
	struct netns_ipvs *ipvs = cp->ipvs;
	struct ssyncp_net *sn = ssyncp_net_rcu(ipvs->net);
	struct ssyncp_queue *q = rcu_dereference(sn->queue);
	unsigned long flags;
	u16 marks;

	if (!q)
		return;
	/* The marks are in fields that the in-kernel master writes. */
	if (unlikely(READ_ONCE(ipvs->sync_state) & IP_VS_STATE_MASTER)) {
		ssyncp_queue_master(q, true);
		return;
	}
	if (unlikely(READ_ONCE(q->master_seen)))
		ssyncp_queue_master(q, false);

	spin_lock_irqsave(&cp->lock, flags);
	marks = cp->old_state;
	if (!(marks & SSYNCP_DIRTY)) {
		bool opening = !(marks & SSYNCP_KNOWN) &&
			       ssyncp_conn_opening(cp);

		/* Where the queue is full the next packet is news again. */
		if (ssyncp_queue_push(q, cp, opening))
			marks |= SSYNCP_DIRTY;
		else
			cp->sync_endtime = jiffies;
	}
	cp->old_state = marks | SSYNCP_LOCAL;
	spin_unlock_irqrestore(&cp->lock, flags);
}

/*
 * The fast path. Read without the lock: another CPU may change the mark or
 * the state under us, but then it is that CPU's packet that brings the news.
 * News is: not seen here before, or seen but copied from a peer since (LOCAL
 * is cleared); another state than the one told last (with an application that
 * edits the stream always: see told.c); time to refresh.
 */
static __always_inline bool ssyncp_is_news(const struct ip_vs_conn *cp)
{
	u16 marks = READ_ONCE(cp->old_state);
	unsigned long now = jiffies;

	if (likely((marks & (SSYNCP_LOCAL | SSYNCP_STATE_MASK)) ==
		   (SSYNCP_LOCAL | READ_ONCE(cp->state)) &&
		   time_before(now, READ_ONCE(cp->sync_endtime))))
		return false;
	/*
	 * Queued already: the reader will see the state of its moment. What is
	 * held for conntrack cannot wait for the reader: it is this packet's
	 * entry that may be the one to stay.
	 */
	return (marks & (SSYNCP_LOCAL | SSYNCP_DIRTY)) !=
	       (SSYNCP_LOCAL | SSYNCP_DIRTY) ||
	       (unlikely(cp->app) && ssyncp_nfct_holds(cp));
}

static __always_inline void ssyncp_saw_packet(struct ip_vs_conn *cp,
					      const struct sk_buff *skb)
{
	if (!ssyncp_is_news(cp))
		return;
	/*
	 * Scheduled packet by packet, it ends with this one: there is nothing
	 * to tell, but of the template that it was scheduled by. That one is
	 * pinned by n_control for as long as our caller holds cp.
	 */
	if (unlikely(READ_ONCE(cp->flags) & IP_VS_CONN_F_ONE_PACKET)) {
		cp = cp->control;
		if (!cp || !ssyncp_is_news(cp))
			return;
	}
	/* An application's connection comes here for as long as it holds any. */
	if (unlikely(cp->app) && ssyncp_nfct_holds(cp))
		ssyncp_nfct_adopt(cp, skb);
	ssyncp_news(cp);
}

/* One protocol whose state_transition() we can take the place of. */
struct ssyncp_tap {
	u16 protocol;
	bool interposed;
	struct ip_vs_protocol *pp;
	typeof(ssyncp_transition_sample) *orig;
	typeof(ssyncp_transition_sample) *ours;
	void (*set_orig)(typeof(ssyncp_transition_sample) *orig);
};

/*
 * The original is called directly, not through a pointer: no retpoline. It is
 * set before our function is in place, and stays set behind it.
 */
#define SSYNCP_DEFINE_TAP(name)						\
DEFINE_STATIC_CALL_NULL(ssyncp_##name##_orig, ssyncp_transition_sample);\
static void ssyncp_##name##_set_orig(				\
	typeof(ssyncp_transition_sample) *orig)				\
{									\
	static_call_update(ssyncp_##name##_orig, orig);			\
}									\
SSYNCP_DEFINE_TRANSITION(ssyncp_##name##_transition,			\
			 ssyncp_##name##_orig, ssyncp_saw_packet)

SSYNCP_DEFINE_TAP(tcp)
SSYNCP_DEFINE_TAP(udp)
SSYNCP_DEFINE_TAP(sctp)

#define SSYNCP_TAP(name, proto) {					\
	.protocol	= proto,					\
	.ours		= ssyncp_##name##_transition,			\
	.set_orig	= ssyncp_##name##_set_orig,			\
}

static struct ssyncp_tap ssyncp_taps[] = {
	SSYNCP_TAP(tcp, IPPROTO_TCP),
	SSYNCP_TAP(udp, IPPROTO_UDP),
	SSYNCP_TAP(sctp, IPPROTO_SCTP),
};

static unsigned int ssyncp_hook_users;
/* The module reference that keeps our text while a tap is in place. */
static bool ssyncp_hook_pinned;

static int ssyncp_listen_entry(struct kretprobe_instance *ri,
			       struct pt_regs *regs)
{
	*(struct ip_vs_conn **)ri->data =
		(struct ip_vs_conn *)regs_get_kernel_argument(regs, 0);
	return 0;
}

static int ssyncp_listen_return(struct kretprobe_instance *ri,
				struct pt_regs *regs)
{
	/* ip_vs_ftp runs in a packet hook: RCU, and a reference to cp. */
	ssyncp_news(*(struct ip_vs_conn **)ri->data);
	return 0;
}

/* A kretprobe cannot be registered twice as it is: made anew for each. */
static struct kretprobe ssyncp_listen_probe;
static bool ssyncp_listen_probed;

/* No memory is the one error: what the kernel cannot do, we do without. */
static int ssyncp_listen_probe_get(void)
{
	/* It runs with preemption disabled, where a lock of RT may not sleep. */
	int err = -EOPNOTSUPP;

	memset(&ssyncp_listen_probe, 0, sizeof(ssyncp_listen_probe));
	ssyncp_listen_probe.kp.symbol_name = "ip_vs:ip_vs_tcp_conn_listen";
	ssyncp_listen_probe.entry_handler = ssyncp_listen_entry;
	ssyncp_listen_probe.handler = ssyncp_listen_return;
	ssyncp_listen_probe.data_size = sizeof(struct ip_vs_conn *);

	if (!IS_ENABLED(CONFIG_PREEMPT_RT))
		err = register_kretprobe(&ssyncp_listen_probe);
	if (err == -ENOMEM)
		return err;
	ssyncp_listen_probed = !err;
	if (err) {
		ssyncp_missing |= SSYNCP_MISSING_CONN_LISTEN;
		pr_warn("cannot probe ip_vs_tcp_conn_listen (%d): FTP data connections are advertised from their first packet on only\n",
			err);
	} else {
		ssyncp_missing &= ~SSYNCP_MISSING_CONN_LISTEN;
	}
	return 0;
}

static void ssyncp_listen_probe_put(void)
{
	if (ssyncp_listen_probed)
		unregister_kretprobe(&ssyncp_listen_probe);
	ssyncp_listen_probed = false;
}

/* net is any namespace: struct ip_vs_protocol is shared by all. */
static void ssyncp_tap_open(struct ssyncp_tap *tap, struct net *net)
{
	struct ip_vs_proto_data *pd;

	if (tap->interposed)
		return;		/* buried at the last close: still in place */
	pd = ip_vs_proto_data_get(net_ipvs(net), tap->protocol);
	if (!pd)
		return;		/* not built into this IPVS */

	tap->pp = pd->pp;
	tap->orig = READ_ONCE(pd->pp->state_transition);
	tap->set_orig(tap->orig);
	/* If somebody came in between, their function is not called by ours:
	 * better to capture nothing than to cut them out.
	 */
	tap->interposed = cmpxchg(&tap->pp->state_transition, tap->orig,
				  tap->ours) == tap->orig;
	if (!tap->interposed)
		pr_warn("protocol %u: state_transition changed under us: not captured until all readers have left and one attaches again\n",
			tap->protocol);
}

/*
 * Take our function out again. Somebody who interposed on top of us calls
 * ours: then it must stay, as a pass-through, and the module with it.
 */
static bool ssyncp_tap_close(struct ssyncp_tap *tap)
{
	if (!tap->interposed)
		return true;
	if (cmpxchg(&tap->pp->state_transition, tap->ours, tap->orig) !=
	    tap->ours) {
		pr_warn("protocol %u: %ps stands on top of our state_transition; the module stays until it is gone and /dev/ssyncp was opened and closed once more\n",
			tap->protocol, READ_ONCE(tap->pp->state_transition));
		return false;
	}
	tap->interposed = false;
	return true;
}

int ssyncp_hook_get(struct net *net)
{
	size_t i;
	int err;

	lockdep_assert_held(&ssyncp_mutex);
	if (ssyncp_hook_users)
		goto out;

	err = ssyncp_listen_probe_get();
	if (err)
		return err;
	/* The caller's descriptor holds the module: this cannot fail. */
	if (!ssyncp_hook_pinned)
		__module_get(THIS_MODULE);
	ssyncp_hook_pinned = true;

	for (i = 0; i < ARRAY_SIZE(ssyncp_taps); i++)
		ssyncp_tap_open(&ssyncp_taps[i], net);
out:
	ssyncp_hook_users++;
	return 0;
}

static void ssyncp_hook_close(void)
{
	bool out = true;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ssyncp_taps); i++)
		out &= ssyncp_tap_close(&ssyncp_taps[i]);
	ssyncp_listen_probe_put();
	/*
	 * Packet hooks run under the RCU read lock: behind this nobody is in
	 * our functions any more, and the module may go.
	 */
	synchronize_rcu();
	if (out) {
		ssyncp_hook_pinned = false;
		module_put(THIS_MODULE);
	}
}

/* Behind this no packet hook sees what was unpublished before it. */
void ssyncp_hook_put(void)
{
	lockdep_assert_held(&ssyncp_mutex);
	if (--ssyncp_hook_users)
		synchronize_rcu();
	else
		ssyncp_hook_close();
}

/*
 * Who stood on top of us when the last reader left may be gone by now: then
 * nothing keeps us any more. The caller's descriptor still holds the module.
 */
void ssyncp_hook_settle(void)
{
	mutex_lock(&ssyncp_mutex);
	if (!ssyncp_hook_users && ssyncp_hook_pinned &&
	    !(ssyncp_hook_state() & SSYNCP_STATE_BURIED))
		ssyncp_hook_close();
	mutex_unlock(&ssyncp_mutex);
}

u32 ssyncp_hook_state(void)
{
	u32 state = 0;
	size_t i;

	lockdep_assert_held(&ssyncp_mutex);
	for (i = 0; i < ARRAY_SIZE(ssyncp_taps); i++) {
		const struct ssyncp_tap *tap = &ssyncp_taps[i];

		if (!tap->interposed)
			continue;
		state |= SSYNCP_STATE_INTERPOSED;
		if (READ_ONCE(tap->pp->state_transition) != tap->ours)
			state |= SSYNCP_STATE_BURIED;
	}
	return state;
}
