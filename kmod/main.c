// SPDX-License-Identifier: GPL-2.0-only
/*
 * ssyncp: the kernel's half of stateful synchronization for IPVS directors.
 *
 * It queues connections for a daemon in user space, and creates the ones that
 * the daemon received from its peers. Protocol, transport and policy are the
 * daemon's.
 */
#include <linux/module.h>

#include "module.h"

unsigned int ssyncp_queue_len = 65536;
module_param_named(queue_len, ssyncp_queue_len, uint, 0644);
MODULE_PARM_DESC(queue_len,
		 "Connections that the queue of a namespace can hold, 8 bytes each; read at attach (default 65536)");

unsigned int ssyncp_local_hold_ms = 3000;
module_param_named(local_hold_ms, ssyncp_local_hold_ms, uint, 0644);
MODULE_PARM_DESC(local_hold_ms,
		 "A connection that had local packets within this time refuses what peers say of it (default 3000)");

unsigned int ssyncp_max_conns = 4194304;
module_param_named(max_conns, ssyncp_max_conns, uint, 0644);
MODULE_PARM_DESC(max_conns,
		 "Peers cannot make the connection table of a namespace larger than this; 0: no limit (default 4194304)");

unsigned int ssyncp_max_timeout = 86400;
module_param_named(max_timeout, ssyncp_max_timeout, uint, 0644);
MODULE_PARM_DESC(max_timeout,
		 "Ceiling of a timeout that peers advertise, in seconds (default 86400)");

bool ssyncp_skip_closing = true;
module_param_named(skip_closing, ssyncp_skip_closing, bool, 0644);
MODULE_PARM_DESC(skip_closing,
		 "Do not advertise a connection that is over before it was first read (default Y)");

bool ssyncp_accept_unbound;
module_param_named(accept_unbound, ssyncp_accept_unbound, bool, 0644);
MODULE_PARM_DESC(accept_unbound,
		 "Create NAT and DR connections of peers although their real server is not configured here (default N)");

bool ssyncp_userns_root;
module_param_named(userns_root, ssyncp_userns_root, bool, 0644);
MODULE_PARM_DESC(userns_root,
		 "Let CAP_NET_ADMIN of a network namespace's own user namespace open the device (default N)");

struct workqueue_struct *ssyncp_workqueue;

static int __init ssyncp_init(void)
{
	int err;

	err = ssyncp_resolve();
	if (err)
		return err;

	ssyncp_workqueue = alloc_workqueue("ssyncp", WQ_UNBOUND, 0);
	if (!ssyncp_workqueue)
		return -ENOMEM;
	err = ssyncp_net_init();
	if (err)
		goto err_workqueue;
	err = ssyncp_device_init();
	if (err)
		goto err_net;
	return 0;

err_net:
	ssyncp_net_exit();
err_workqueue:
	destroy_workqueue(ssyncp_workqueue);
	return err;
}

/*
 * Descriptors and the interposition hold the module, so nobody is attached
 * here. What may still run is the tail of the work that ended a linger and
 * dropped the last reference: destroying the queue waits for it.
 */
static void __exit ssyncp_exit(void)
{
	ssyncp_device_exit();
	ssyncp_net_exit();
	destroy_workqueue(ssyncp_workqueue);
}

module_init(ssyncp_init);
module_exit(ssyncp_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("ssyncp maintainers");
MODULE_DESCRIPTION("Stateful synchronization of IPVS connections through user space");
MODULE_VERSION("0.1.0");
