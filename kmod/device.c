// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/ssyncp. What it promises is in uapi/ssyncp.h.
 */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/nsproxy.h>
#include <linux/poll.h>
#include <linux/uaccess.h>

#include "module.h"

struct ssyncp_file {
	struct net		*net;		/* held */
	struct mutex		mutex;		/* attaching */
	/*
	 * 0 until attached; neither it nor the pointers below change any more
	 * from then until the last close.
	 */
	u32			mode;
	struct ssyncp_queue	*queue;		/* CAPTURE */
	struct ssyncp_injector	*injector;	/* CAPTURE, INJECT */
	struct ssyncp_snapshot	*snapshot;	/* SNAPSHOT */
};

static u32 ssyncp_mode(const struct ssyncp_file *f)
{
	/* Pairs with the release in ssyncp_attach(). */
	return smp_load_acquire(&f->mode);
}

static bool ssyncp_may_open(struct net *net)
{
	if (capable(CAP_NET_ADMIN))
		return true;
	return READ_ONCE(ssyncp_userns_root) &&
	       ns_capable(net->user_ns, CAP_NET_ADMIN);
}

static int ssyncp_open(struct inode *inode, struct file *file)
{
	struct net *net = current->nsproxy->net_ns;
	struct ssyncp_file *f;

	if (!ssyncp_may_open(net))
		return -EPERM;
	f = kzalloc(sizeof(*f), GFP_KERNEL_ACCOUNT);
	if (!f)
		return -ENOMEM;
	mutex_init(&f->mutex);
	f->net = get_net(net);
	file->private_data = f;
	return stream_open(inode, file);
}

static int ssyncp_release(struct inode *inode, struct file *file)
{
	struct ssyncp_file *f = file->private_data;

	if (f->queue)
		ssyncp_queue_detach(f->queue);
	if (f->injector)
		ssyncp_injector_close(f->injector);
	if (f->snapshot)
		ssyncp_snapshot_close(f->snapshot);
	ssyncp_hook_settle();
	put_net(f->net);
	kfree(f);
	return 0;
}

static int ssyncp_attach_writer(struct ssyncp_file *f)
{
	struct ssyncp_injector *in = ssyncp_injector_open(f->net);

	if (IS_ERR(in))
		return PTR_ERR(in);
	f->injector = in;
	return 0;
}

static int ssyncp_attach_capture(struct ssyncp_file *f,
				 const struct ssyncp_attach *req)
{
	struct ssyncp_queue *q;
	int err;

	err = ssyncp_attach_writer(f);
	if (err)
		return err;
	q = ssyncp_queue_attach(f->net, req);
	if (IS_ERR(q)) {
		ssyncp_injector_close(f->injector);
		f->injector = NULL;
		return PTR_ERR(q);
	}
	f->queue = q;
	return 0;
}

static int ssyncp_attach_snapshot(struct ssyncp_file *f,
				  const struct ssyncp_attach *req)
{
	struct ssyncp_snapshot *s;

	s = ssyncp_snapshot_open(f->net, req->flags);
	if (IS_ERR(s))
		return PTR_ERR(s);
	f->snapshot = s;
	return 0;
}

static int ssyncp_attach_mode(struct ssyncp_file *f,
			      const struct ssyncp_attach *req)
{
	switch (req->mode) {
	case SSYNCP_MODE_CAPTURE:
		return ssyncp_attach_capture(f, req);
	case SSYNCP_MODE_SNAPSHOT:
		return ssyncp_attach_snapshot(f, req);
	case SSYNCP_MODE_INJECT:
		return ssyncp_attach_writer(f);
	default:
		return -EINVAL;
	}
}

static int ssyncp_attach(struct ssyncp_file *f,
			 const struct ssyncp_attach *req)
{
	int err;

	if (req->abi_version != SSYNCP_ABI_VERSION)
		return -EPROTONOSUPPORT;
	if (req->flags & ~(SSYNCP_ATTACH_OWNED | SSYNCP_ATTACH_DUE) ||
	    req->flags == SSYNCP_ATTACH_DUE ||
	    (req->flags && req->mode != SSYNCP_MODE_SNAPSHOT) ||
	    memchr_inv(req->reserved, 0, sizeof(req->reserved)))
		return -EINVAL;
	/* They mean something to a CAPTURE reader only. */
	if (req->mode != SSYNCP_MODE_CAPTURE &&
	    (req->linger_ms || req->watermark))
		return -EINVAL;

	if (mutex_lock_interruptible(&f->mutex))
		return -ERESTARTSYS;
	err = f->mode ? -EISCONN : ssyncp_attach_mode(f, req);
	if (!err) {
		/* Pairs with ssyncp_mode(): the pointers come first. */
		smp_store_release(&f->mode, req->mode);
	}
	mutex_unlock(&f->mutex);
	return err;
}

static long ssyncp_ioctl_attach(struct ssyncp_file *f, void __user *arg)
{
	struct ssyncp_attach req;
	int err;

	if (copy_from_user(&req, arg, sizeof(req)))
		return -EFAULT;
	err = ssyncp_attach(f, &req);
	/* Whatever came of it: a caller that mismatches can name both. */
	if (put_user(SSYNCP_ABI_VERSION,
		     &((struct ssyncp_attach __user *)arg)->abi_version))
		return err ? err : -EFAULT;
	return err;
}

static long ssyncp_ioctl_refusals(struct ssyncp_file *f, void __user *arg)
{
	struct ssyncp_refusals req;
	long err;

	if (!ssyncp_mode(f))
		return -ENOTCONN;
	if (!f->injector)
		return -EBADF;
	if (copy_from_user(&req, arg, sizeof(req)))
		return -EFAULT;
	if (req.reserved)
		return -EINVAL;
	err = ssyncp_injector_refusals(f->injector, &req);
	if (!err && copy_to_user(arg, &req, sizeof(req)))
		return -EFAULT;
	return err;
}

static long ssyncp_ioctl_stats(struct ssyncp_file *f, void __user *arg)
{
	struct ssyncp_stats stats;
	u32 size;

	if (get_user(size, (u32 __user *)arg))
		return -EFAULT;
	if (size < offsetof(struct ssyncp_stats, counter))
		return -EINVAL;
	ssyncp_net_stats(f->net, &stats);
	stats.size = min_t(u32, size, sizeof(stats));
	return copy_to_user(arg, &stats, stats.size) ? -EFAULT : 0;
}

static long ssyncp_ioctl(struct file *file, unsigned int cmd,
			 unsigned long arg)
{
	struct ssyncp_file *f = file->private_data;
	void __user *to = (void __user *)arg;

	switch (cmd) {
	case SSYNCP_IOC_ATTACH:
		return ssyncp_ioctl_attach(f, to);
	case SSYNCP_IOC_REFUSALS:
		return ssyncp_ioctl_refusals(f, to);
	case SSYNCP_IOC_STATS:
		return ssyncp_ioctl_stats(f, to);
	default:
		return -ENOTTY;
	}
}

static ssize_t ssyncp_read(struct file *file, char __user *buf, size_t count,
			   loff_t *pos)
{
	struct ssyncp_file *f = file->private_data;

	switch (ssyncp_mode(f)) {
	case 0:
		return -ENOTCONN;
	case SSYNCP_MODE_CAPTURE:
		return ssyncp_queue_read(f->queue, buf, count,
					 file->f_flags & O_NONBLOCK);
	case SSYNCP_MODE_SNAPSHOT:
		return ssyncp_snapshot_read(f->snapshot, buf, count);
	default:
		return -EBADF;
	}
}

static ssize_t ssyncp_write(struct file *file, const char __user *buf,
			    size_t count, loff_t *pos)
{
	struct ssyncp_file *f = file->private_data;

	if (!ssyncp_mode(f))
		return -ENOTCONN;
	if (!f->injector)
		return -EBADF;
	return ssyncp_injector_write(f->injector, buf, count);
}

static __poll_t ssyncp_poll(struct file *file, struct poll_table_struct *wait)
{
	struct ssyncp_file *f = file->private_data;

	switch (ssyncp_mode(f)) {
	case 0:
		return EPOLLERR;
	case SSYNCP_MODE_CAPTURE:
		return EPOLLOUT | EPOLLWRNORM |
		       ssyncp_queue_poll(f->queue, file, wait);
	case SSYNCP_MODE_SNAPSHOT:
		return EPOLLIN | EPOLLRDNORM;
	default:
		return EPOLLOUT | EPOLLWRNORM;
	}
}

static const struct file_operations ssyncp_fops = {
	.owner		= THIS_MODULE,
	.open		= ssyncp_open,
	.release	= ssyncp_release,
	.read		= ssyncp_read,
	.write		= ssyncp_write,
	.poll		= ssyncp_poll,
	.unlocked_ioctl	= ssyncp_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};

static struct miscdevice ssyncp_device = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= SSYNCP_DEVICE_NAME,
	.fops	= &ssyncp_fops,
	.mode	= 0600,
};

int ssyncp_device_init(void)
{
	return misc_register(&ssyncp_device);
}

void ssyncp_device_exit(void)
{
	misc_deregister(&ssyncp_device);
}
