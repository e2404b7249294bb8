// SPDX-License-Identifier: GPL-2.0-only
/*
 * The state of one network namespace: its capture queue and its counters.
 */
#include <linux/module.h>

#include "module.h"

unsigned int ssyncp_net_id;
/* Serialises attach, detach, linger and the interposition. */
DEFINE_MUTEX(ssyncp_mutex);

void ssyncp_net_stats(struct net *net, struct ssyncp_stats *stats)
{
	struct ssyncp_net *sn = ssyncp_net(net);
	struct netns_ipvs *ipvs = net_ipvs(net);
	struct ssyncp_queue *q;
	int cpu, i;

	memset(stats, 0, sizeof(*stats));
	stats->size = sizeof(*stats);
	stats->abi_version = SSYNCP_ABI_VERSION;
	stats->missing = ssyncp_missing;
	stats->conn_count = atomic_read(&ipvs->conn_count);
	stats->shortest_timeout_ms = ssyncp_shortest_timeout_ms(ipvs);

	mutex_lock(&ssyncp_mutex);
	q = rcu_dereference_protected(sn->queue,
				      lockdep_is_held(&ssyncp_mutex));
	stats->state = ssyncp_hook_state();
	if (q) {
		stats->state |= ssyncp_queue_state(q);
		stats->queue_len = ssyncp_queue_size(q);
	}
	mutex_unlock(&ssyncp_mutex);
	if (READ_ONCE(ipvs->sync_state) & IP_VS_STATE_MASTER)
		stats->state |= SSYNCP_STATE_MASTER_RUNNING;

	for_each_possible_cpu(cpu) {
		const struct ssyncp_counters *c;

		c = per_cpu_ptr(sn->counters, cpu);
		for (i = 0; i < SSYNCP_COUNTERS; i++)
			stats->counter[i] += READ_ONCE(c->value[i]);
	}
}

static int __net_init ssyncp_net_up(struct net *net)
{
	struct ssyncp_net *sn = ssyncp_net(net);

	RCU_INIT_POINTER(sn->queue, NULL);
	sn->counters = alloc_percpu_gfp(struct ssyncp_counters,
					GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	return sn->counters ? 0 : -ENOMEM;
}

/*
 * A descriptor holds its namespace, so only a lingering queue can be left. We
 * are registered behind ip_vs: this runs before its own exit, when its
 * hooks are gone already (it unhooks as a pernet device), and must drop our
 * references or its flush would wait for them.
 */
static void __net_exit ssyncp_net_down(struct net *net)
{
	ssyncp_queue_net_exit(net);
	free_percpu(ssyncp_net(net)->counters);
}

static struct pernet_operations ssyncp_net_ops = {
	.init	= ssyncp_net_up,
	.exit	= ssyncp_net_down,
	.id	= &ssyncp_net_id,
	.size	= sizeof(struct ssyncp_net),
};

int ssyncp_net_init(void)
{
	return register_pernet_subsys(&ssyncp_net_ops);
}

void ssyncp_net_exit(void)
{
	unregister_pernet_subsys(&ssyncp_net_ops);
}
