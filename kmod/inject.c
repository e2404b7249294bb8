// SPDX-License-Identifier: GPL-2.0-only
/*
 * Connections that peers advertised, into IPVS.
 *
 * A record is checked twice: its framing, which is the daemon's business and
 * ends the batch; then what it says, which is a peer's business, and at worst
 * refuses that record. Nothing of a refused record is applied.
 *
 * One rule orders everything: only fresher news is applied. Which of two is
 * fresher the connection itself knows: its timer runs from its last packet.
 *
 * Inserting races with packets: IPVS looks up and hashes without one lock
 * around both, so a packet that arrives between our lookup and our insert can
 * make a second entry of the same tuple. The newer one is found first, and the
 * other one expires. The in-kernel backup thread has the same race.
 */
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "entry.h"

#define SSYNCP_WRITE_RECORDS	(SSYNCP_WRITE_MAX / sizeof(struct ssyncp_conn))

struct ssyncp_injector {
	struct net		*net;
	struct ssyncp_net	*sn;
	struct mutex		mutex;		/* all below */
	void			*batch;
	struct ssyncp_refusal	*refusals;
	unsigned int		nr_refusals;
};

/*
 * State, sequence numbers and lifetime of a connection that we hold, under
 * cp->lock. What is left of LOCAL is cleared: the peer owns it now. DIRTY
 * stays, as the queue's reference does.
 */
static void ssyncp_set(struct ip_vs_conn *cp, const struct ssyncp_entry *e)
{
	unsigned long timeout;

	/* Held for conntrack, which does it for IPVS: see nfct.c. */
	if (e->seq) {
		cp->in_seq.init_seq = e->seq->in.init_seq;
		cp->in_seq.delta = e->seq->in.delta;
		cp->in_seq.previous_delta = e->seq->in.previous_delta;
		cp->out_seq.init_seq = e->seq->out.init_seq;
		cp->out_seq.delta = e->seq->out.delta;
		cp->out_seq.previous_delta = e->seq->out.previous_delta;
	} else {
		/* Not of a session before on the same ports. */
		memset(&cp->in_seq, 0, sizeof(cp->in_seq));
		memset(&cp->out_seq, 0, sizeof(cp->out_seq));
	}
	cp->state = e->conn->state;
	cp->old_state = (cp->old_state & SSYNCP_DIRTY) | SSYNCP_KNOWN |
			e->conn->state;
	/* Of a copy, when it was heard of last: see ssyncp_conn_told_ms(). */
	cp->sync_endtime = jiffies;
	timeout = e->timeout;
	if (!timeout)
		timeout = ssyncp_own_timeout(cp->ipvs, e, cp->dest);
	cp->timeout = timeout;
	/*
	 * We hold a reference, so this is not behind the last del_timer() of
	 * ip_vs_conn_expire(): with it, expiring is put off.
	 */
	mod_timer(&cp->timer,
		  jiffies + (timeout > e->age ? timeout - e->age : 1));
}

/* Known with the same dest: bring it up to date. */
static int ssyncp_update(struct ssyncp_injector *in, struct ip_vs_conn *cp,
			 const struct ssyncp_entry *e)
{
	struct ip_vs_dest *dest;
	bool learn_cport;
	int verdict;

	spin_lock_bh(&cp->lock);
	verdict = ssyncp_admit(cp, e);
	if (verdict != SSYNCP_APPLIED) {
		spin_unlock_bh(&cp->lock);
		return verdict;
	}
	/* The reference of cp holds dest. */
	dest = cp->dest;
	if ((cp->flags ^ e->flags) & IP_VS_CONN_F_INACTIVE && !e->template &&
	    dest)
		ssyncp_dest_set_active(dest,
				       !(e->flags & IP_VS_CONN_F_INACTIVE));
	cp->flags = (cp->flags & ~IP_VS_CONN_F_BACKUP_UPD_MASK) |
		    (e->flags & IP_VS_CONN_F_BACKUP_UPD_MASK);
	ssyncp_set(cp, e);
	learn_cport = cp->flags & IP_VS_CONN_F_NO_CPORT && !e->no_cport;
	spin_unlock_bh(&cp->lock);

	/* An FTP data connection that was known before its client port. */
	if (learn_cport && !(ssyncp_missing & SSYNCP_MISSING_FILL_CPORT))
		static_call(ssyncp_fill_cport)(cp, e->conn->cport);
	/* Its service or real server may have been configured since. */
	if (!dest && !(ssyncp_missing & SSYNCP_MISSING_TRY_BIND_DEST))
		static_call(ssyncp_try_bind_dest)(cp);
	ssyncp_count(in->sn, UPDATED);
	return SSYNCP_APPLIED;
}

static int ssyncp_fill_pe(struct ip_vs_conn_param *param,
			  const struct ssyncp_pe *pe)
{
	char *data;

	/* Takes a reference to the engine's module. */
	param->pe = static_call(ssyncp_pe_getbyname)(pe->name);
	if (!param->pe)
		return SSYNCP_REFUSED_PE;
	data = kmemdup(pe + 1, pe->len, GFP_ATOMIC);
	if (!data)
		return SSYNCP_REFUSED_NO_MEMORY;
	param->pe_data = data;
	param->pe_data_len = pe->len;
	return SSYNCP_APPLIED;
}

/* Unknown here: create it. Under RCU, which dest needs. */
static int ssyncp_create(struct ssyncp_injector *in,
			 struct ip_vs_conn_param *param,
			 const struct ssyncp_entry *e)
{
	const struct ssyncp_conn *rec = e->conn;
	struct netns_ipvs *ipvs = param->ipvs;
	unsigned int max = READ_ONCE(ssyncp_max_conns);
	struct ip_vs_dest *dest;
	struct ip_vs_conn *cp;
	u32 method;

	if (max && atomic_read(&ipvs->conn_count) >= max)
		return SSYNCP_REFUSED_TABLE_FULL;
	if (ssyncp_missing & SSYNCP_MISSING_FIND_DEST)
		return SSYNCP_REFUSED_UNRESOLVED;
	dest = ssyncp_dest(ipvs, e);
	if (!dest && !ssyncp_unbound_ok(e))
		return SSYNCP_REFUSED_NO_DEST;
	/* Only now is the timeout of a template known. No timeout is 0. */
	if (e->age &&
	    e->age >= (e->timeout ?: ssyncp_own_timeout(ipvs, e, dest)))
		return SSYNCP_REFUSED_EXPIRED;

	/* A connection takes the method from its real server, where it has one. */
	method = dest ? atomic_read(&dest->conn_flags) : e->flags;
	if (ssyncp_takes_answers(ipvs, e, method & IP_VS_CONN_F_FWD_MASK))
		return SSYNCP_REFUSED_LOCAL_HOLD;

	/* Takes pe_data over, and a module reference of its own to pe. */
	cp = ip_vs_conn_new(param, rec->dest_family, &e->daddr, rec->dport,
			    e->flags, dest, rec->fwmark);
	if (!cp)
		return SSYNCP_REFUSED_NO_MEMORY;
	param->pe_data = NULL;

	spin_lock_bh(&cp->lock);
	/* Hashed already: a packet may have come first, and knows better. */
	if (!(cp->old_state & SSYNCP_LOCAL)) {
		ssyncp_set(cp, e);
		/* As in_pkts of a connection that the kernel would sync. */
		atomic_set(&cp->in_pkts, sysctl_sync_threshold(ipvs));
	}
	spin_unlock_bh(&cp->lock);

	ssyncp_count(in->sn, CREATED);
	if (!dest)
		ssyncp_count(in->sn, UNBOUND);
	__ip_vs_conn_put(cp);
	return SSYNCP_APPLIED;
}

/*
 * Another real server than the one we know: the client's port was used again,
 * or scheduled elsewhere. The new entry is found before the old one, which may
 * go when the new one is there; unless the news is only that a connection,
 * replaced here since, has closed.
 */
static int ssyncp_replace(struct ssyncp_injector *in, struct ip_vs_conn *cp,
			  struct ip_vs_conn_param *param,
			  const struct ssyncp_entry *e)
{
	int verdict;

	spin_lock_bh(&cp->lock);
	verdict = ssyncp_admit(cp, e);
	spin_unlock_bh(&cp->lock);
	if (verdict != SSYNCP_APPLIED)
		return verdict;
	if (ssyncp_closing_news(e))
		return SSYNCP_REFUSED_CONFLICT;

	verdict = ssyncp_create(in, param, e);
	if (verdict != SSYNCP_APPLIED)
		return verdict;

	spin_lock_bh(&cp->lock);
	cp->old_state = (cp->old_state & ~SSYNCP_LOCAL) | SSYNCP_KNOWN;
	spin_unlock_bh(&cp->lock);
	/* As ip_vs_conn_expire_now(): no more than a hint to the timer. */
	mod_timer_pending(&cp->timer, jiffies);
	ssyncp_count(in->sn, REPLACED);
	return SSYNCP_APPLIED;
}

static int ssyncp_apply_found(struct ssyncp_injector *in,
			      struct ip_vs_conn *cp,
			      struct ip_vs_conn_param *param,
			      const struct ssyncp_entry *e)
{
	if (cp->dport == e->conn->dport && cp->daf == e->conn->dest_family &&
	    ip_vs_addr_equal(cp->daf, &cp->daddr, &e->daddr))
		return ssyncp_update(in, cp, e);
	return ssyncp_replace(in, cp, param, e);
}

static int ssyncp_apply(struct ssyncp_injector *in, struct ssyncp_entry *e)
{
	const struct ssyncp_conn *rec = e->conn;
	struct ip_vs_conn_param param;
	struct ip_vs_conn *cp;
	int verdict;

	verdict = ssyncp_validate(in->sn, e);
	if (verdict != SSYNCP_APPLIED)
		return verdict;

	ip_vs_conn_fill_param(net_ipvs(in->net), rec->family, rec->protocol,
			      &e->caddr, rec->cport, &e->vaddr, rec->vport,
			      &param);
	param.pe_data_len = 0;

	rcu_read_lock();
	/* No table, no service either. */
	if (!ssyncp_has_conn_table(param.ipvs)) {
		verdict = SSYNCP_REFUSED_NO_DEST;
		goto out;
	}
	if (e->pe) {
		verdict = ssyncp_fill_pe(&param, e->pe);
		if (verdict != SSYNCP_APPLIED)
			goto out;
	}
	cp = e->template ? static_call(ssyncp_ct_in_get)(&param) :
			   ip_vs_conn_in_get(&param);
	if (cp) {
		verdict = ssyncp_apply_found(in, cp, &param, e);
		__ip_vs_conn_put(cp);
	} else {
		verdict = ssyncp_create(in, &param, e);
	}
out:
	/* What ip_vs_conn_new() has not taken. */
	kfree(param.pe_data);
	ip_vs_pe_put(param.pe);
	rcu_read_unlock();
	return verdict;
}

static void ssyncp_refuse(struct ssyncp_injector *in, u32 index, u32 reason)
{
	struct ssyncp_refusal *refusal = &in->refusals[in->nr_refusals++];

	refusal->index = index;
	refusal->reason = reason;
	ssyncp_count_refused(in->sn, reason);
}

static ssize_t ssyncp_write_batch(struct ssyncp_injector *in, size_t count)
{
	struct ssyncp_entry e;
	size_t len, done = 0;
	int verdict;
	u32 i;

	in->nr_refusals = 0;
	for (i = 0; done < count; i++) {
		len = ssyncp_parse(&e, in->batch + done, count - done);
		if (!len) {
			ssyncp_count(in->sn, WRITE_MALFORMED);
			return done ? done : -EINVAL;
		}
		verdict = ssyncp_apply(in, &e);
		if (verdict != SSYNCP_APPLIED)
			ssyncp_refuse(in, i, verdict);
		done += len;
		cond_resched();
		if (fatal_signal_pending(current))
			break;
	}
	return done;
}

ssize_t ssyncp_injector_write(struct ssyncp_injector *in,
			      const char __user *buf, size_t count)
{
	ssize_t done;

	if (!count)
		return 0;
	if (count > SSYNCP_WRITE_MAX)
		return -EMSGSIZE;
	if (mutex_lock_interruptible(&in->mutex))
		return -ERESTARTSYS;
	ssyncp_count(in->sn, WRITE_CALLS);
	/* Copied once: what was checked is what is applied. */
	if (copy_from_user(in->batch, buf, count))
		done = -EFAULT;
	else
		done = ssyncp_write_batch(in, count);
	mutex_unlock(&in->mutex);
	return done;
}

long ssyncp_injector_refusals(struct ssyncp_injector *in,
			      struct ssyncp_refusals *req)
{
	struct ssyncp_refusal __user *to = u64_to_user_ptr(req->entries);
	long err = 0;
	u32 n;

	if (mutex_lock_interruptible(&in->mutex))
		return -ERESTARTSYS;
	n = min(req->count, in->nr_refusals);
	if (copy_to_user(to, in->refusals, n * sizeof(*to)))
		err = -EFAULT;
	req->count = in->nr_refusals;
	mutex_unlock(&in->mutex);
	return err;
}

struct ssyncp_injector *ssyncp_injector_open(struct net *net)
{
	struct ssyncp_injector *in;

	in = kzalloc(sizeof(*in), GFP_KERNEL_ACCOUNT);
	if (!in)
		return ERR_PTR(-ENOMEM);
	in->batch = kvmalloc(SSYNCP_WRITE_MAX, GFP_KERNEL_ACCOUNT);
	in->refusals = kvmalloc_array(SSYNCP_WRITE_RECORDS,
				      sizeof(*in->refusals),
				      GFP_KERNEL_ACCOUNT);
	if (!in->batch || !in->refusals) {
		ssyncp_injector_close(in);
		return ERR_PTR(-ENOMEM);
	}
	in->net = net;
	in->sn = ssyncp_net(net);
	mutex_init(&in->mutex);
	return in;
}

void ssyncp_injector_close(struct ssyncp_injector *in)
{
	kvfree(in->refusals);
	kvfree(in->batch);
	kfree(in);
}
