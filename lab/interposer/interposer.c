// SPDX-License-Identifier: GPL-2.0-only
/*
 * Somebody else who takes the place of TCP's state_transition() in IPVS, on
 * top of whoever is there: it counts the calls and passes them on. For tests
 * of what ssyncp does beneath it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>

#include "../../kmod/compat.h"

static atomic_long_t interposer_calls;

static int interposer_get_calls(char *buf, const struct kernel_param *kp)
{
	return sprintf(buf, "%ld\n", atomic_long_read(&interposer_calls));
}

static const struct kernel_param_ops interposer_calls_ops = {
	.get = interposer_get_calls,
};

module_param_cb(calls, &interposer_calls_ops, NULL, 0444);
MODULE_PARM_DESC(calls, "Packets seen so far");

static void interposer_saw_packet(struct ip_vs_conn *cp,
				  const struct sk_buff *skb)
{
	atomic_long_inc(&interposer_calls);
}

DEFINE_STATIC_CALL_NULL(interposer_below, ssyncp_transition_sample);
SSYNCP_DEFINE_TRANSITION(interposer_transition, interposer_below,
			 interposer_saw_packet)

static struct ip_vs_protocol *interposer_pp;
static typeof(ssyncp_transition_sample) *interposer_orig;

static int __init interposer_init(void)
{
	struct ip_vs_proto_data *pd;

	pd = ip_vs_proto_data_get(net_ipvs(&init_net), IPPROTO_TCP);
	if (!pd)
		return -EPROTONOSUPPORT;
	interposer_pp = pd->pp;
	interposer_orig = READ_ONCE(interposer_pp->state_transition);
	static_call_update(interposer_below, interposer_orig);
	/* Somebody came in between: their function would be cut out. */
	if (cmpxchg(&interposer_pp->state_transition, interposer_orig,
		    interposer_transition) != interposer_orig)
		return -EAGAIN;
	return 0;
}

static void __exit interposer_exit(void)
{
	/* Nobody in a test stands on top of us. */
	WARN_ON(cmpxchg(&interposer_pp->state_transition,
			interposer_transition, interposer_orig) !=
		interposer_transition);
	/* Packet hooks run under the RCU read lock: nobody is in ours now. */
	synchronize_rcu();
}

module_init(interposer_init);
module_exit(interposer_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("ssyncp maintainers");
MODULE_DESCRIPTION("An interposer on top of ssyncp's, for tests");
