/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT */
/*
 * /dev/ssyncp: the contract between the ssyncp kernel module and user space.
 *
 * A descriptor is bound to the network namespace of the task that opened it,
 * and holds that namespace. open() alone has no effect: SSYNCP_IOC_ATTACH
 * gives the descriptor its mode, once. These two are what takes memory, and
 * fails with -ENOMEM where there is none: nothing has happened, and the same
 * call may be made again. read() and the other ioctls need none.
 *
 *   CAPTURE   read()  news of this namespace's connections, as records
 *             write() connections that peers advertised
 *             One per namespace: a second one gets EBUSY.
 *   SNAPSHOT  read()  every connection once, with its age; 0 at the end
 *   INJECT    write() only
 *
 * Byte order: lengths, counters, states, flags and times are in host order.
 * Addresses and ports are in network order, as on the wire. An IPv4 address
 * is in the first 4 bytes of its field, the other 12 are zero.
 *
 * Records. Every record starts with struct ssyncp_head: its length, a
 * multiple of SSYNCP_ALIGN, counts the whole record; kind says what follows.
 * read() returns as many whole records as fit and never splits one; it does
 * not begin a connection that might not fit with its two controllers, so a
 * buffer with less than three of the largest records left was full:
 *   -EINVAL   the buffer is smaller than SSYNCP_READ_MIN
 *   -EAGAIN   nothing to read, and O_NONBLOCK is set (CAPTURE never returns
 *             0). Without O_NONBLOCK the call waits; it looks again every
 *             100 ms, because the packet path does not wake a reader for
 *             each connection.
 *   -ENOTCONN not attached;  -EBADF  attached in a mode that does not read
 * When a record of kind SSYNCP_KIND_EVENT is pending it comes first.
 *
 * write() takes whole connection records, at most SSYNCP_WRITE_MAX bytes a
 * call. It returns the bytes taken. A record that breaks the framing (length,
 * kind, alignment, options, padding not zero) ends the batch: the
 * records before it are applied and counted in the return value; where it is
 * the first one nothing is applied and the call fails:
 *   -EINVAL   broken framing;  -EMSGSIZE  over SSYNCP_WRITE_MAX
 *   -ENOTCONN not attached;  -EBADF  attached in a mode that does not write
 * A record that is well formed but may not be applied is refused: counted
 * under its reason, listed by SSYNCP_IOC_REFUSALS, and the batch goes on. So it
 * is where there is no memory for a new connection: written again, the same
 * record may be taken.
 *
 * poll(): EPOLLIN at the latest when the queue holds `watermark` connections,
 * or when an event is pending; a CAPTURE reader is expected to read every
 * period anyway. EPOLLOUT where write() is allowed. EPOLLERR until attached,
 * without a wait: add the descriptor to an epoll set after SSYNCP_IOC_ATTACH.
 *
 * Ages. age_ms is the time since the owner last saw a packet of the
 * connection. Only fresher news is applied: an entry older than what this
 * director knows is refused as stale. Messages take different times: where an
 * entry brings a connection further in its life (opening, established, half
 * closed, closed), a second does not count; nor does half of one where the
 * connection closed here, on the director that saw its packets, and is open
 * in the entry. A copy gets timeout_ms - age_ms to live. timeout_ms 0 in a
 * write means: unknown; the module takes the protocol's timeout of that state,
 * and for a template the persistence timeout of the service that it is bound
 * to.
 *
 * told_ms is for people, in a SNAPSHOT of everything; elsewhere it is 0. Of a
 * connection that this director owns it is the time since the packet that peers
 * were told of last, of a copy the time since a record of it was written here.
 * It is at least 1, and 0 where neither happened or that is not known. It
 * follows from when peers are to hear of it again, so it is wrong for a moment
 * behind news that the queue had no room for, or another sync_refresh_period.
 */
#ifndef _UAPI_SSYNCP_H
#define _UAPI_SSYNCP_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define SSYNCP_ABI_VERSION	1

#define SSYNCP_DEVICE_NAME	"ssyncp"

#define SSYNCP_ALIGN		8	/* of every record, in bytes */
#define SSYNCP_READ_MIN		2048	/* smallest buffer that read() takes */
#define SSYNCP_WRITE_MAX	262144	/* largest batch that write() takes */
#define SSYNCP_PE_NAME_MAX	16	/* with its terminating zero */
#define SSYNCP_PE_DATA_MAX	255

/* What a record is. */
enum {
	SSYNCP_KIND_CONN	= 1,	/* struct ssyncp_conn */
	SSYNCP_KIND_EVENT	= 2,	/* struct ssyncp_event, read() only */
};

struct ssyncp_head {
	__u16	len;		/* of the whole record, in bytes */
	__u8	kind;		/* SSYNCP_KIND_* */
	__u8	options;	/* SSYNCP_OPT_*: what follows the fixed part */
};

/*
 * Options follow the fixed part in the order of their bits, each padded with
 * zeros to SSYNCP_ALIGN.
 */
#define SSYNCP_OPT_SEQ		0x01	/* struct ssyncp_seq in, then out */
#define SSYNCP_OPT_PE		0x02	/* struct ssyncp_pe: templates only */

/* What this director knows of a connection beyond its IPVS flags. */
#define SSYNCP_MARK_LOCAL	0x01	/* it saw packets of it: it owns it */
#define SSYNCP_MARK_KNOWN	0x02	/* it was advertised before */
#define SSYNCP_MARK_BOUND	0x04	/* bound to a real server of a service */

/* One IPVS connection or template. */
struct ssyncp_conn {
	struct ssyncp_head head;
	__u8	family;		/* AF_INET or AF_INET6: client and virtual */
	__u8	dest_family;	/* of the real server */
	__u8	protocol;	/* IPPROTO_*; IPPROTO_IP for a fwmark template */
	__u8	marks;		/* SSYNCP_MARK_*; ignored in a write */
	__u32	flags;		/* IP_VS_CONN_F_* of linux/ip_vs.h */
	__u16	state;		/* IP_VS_TCP_S_* and so on, of the protocol */
	__be16	cport;
	__be16	vport;
	__be16	dport;
	__u32	fwmark;
	__u32	timeout_ms;	/* of the state; 0 in a write: unknown */
	__u32	age_ms;		/* since the owner last saw a packet */
	__u32	told_ms;	/* see above; ignored in a write */
	__u32	reserved;	/* zero */
	__u8	caddr[16];
	__u8	vaddr[16];
	__u8	daddr[16];
};

/* Sequence adjustment of one direction, as struct ip_vs_seq. */
struct ssyncp_seq {
	__u32	init_seq;
	__u32	delta;
	__u32	previous_delta;
};

struct ssyncp_seq_option {
	struct ssyncp_seq in;
	struct ssyncp_seq out;
};

/* Persistence engine of a template. `len` bytes of data follow. */
struct ssyncp_pe {
	char	name[SSYNCP_PE_NAME_MAX];
	__u8	len;		/* 1..SSYNCP_PE_DATA_MAX */
	__u8	reserved[7];	/* zero */
};

/* Something that the reader of a CAPTURE descriptor must know. */
struct ssyncp_event {
	struct ssyncp_head head;
	__u32	events;		/* SSYNCP_EVENT_*, all since the last read */
};

/* News was dropped: heal it by a SNAPSHOT of what this director owns. */
#define SSYNCP_EVENT_LOST		0x01
/* The in-kernel sync master runs here: nothing is captured until it stops. */
#define SSYNCP_EVENT_MASTER_RUNNING	0x02
/* It stopped, and capture goes on; LOST comes with it. */
#define SSYNCP_EVENT_MASTER_STOPPED	0x04

enum {
	SSYNCP_MODE_CAPTURE	= 1,
	SSYNCP_MODE_SNAPSHOT	= 2,
	SSYNCP_MODE_INJECT	= 3,
};

/*
 * SNAPSHOT only what this director owns (not created by sync, or with local
 * traffic since), as it is going to be advertised: it is marked KNOWN.
 */
#define SSYNCP_ATTACH_OWNED	0x01

/*
 * SNAPSHOT, with OWNED, only what is due to be told again: it had packets since
 * it was told last, and a third of its lifetime has passed. A packet that
 * comes later than that is news by itself; one that came earlier, with silence
 * behind it, is told by this. Take such a snapshot several times within the
 * shortest timeout (ssyncp_stats), or copies may expire before their owner.
 */
#define SSYNCP_ATTACH_DUE	0x02

/*
 * SSYNCP_IOC_ATTACH. On return abi_version is the module's own, also where
 * the call failed. linger_ms and watermark are for CAPTURE.
 *   -EPROTONOSUPPORT  abi_version is not the module's
 *   -EBUSY            this namespace has its CAPTURE descriptor already
 *   -EISCONN          this descriptor is attached already
 *   -EOPNOTSUPP       the module lacks what the mode needs: see
 *                     ssyncp_stats.missing
 *   -EINVAL           unknown mode or flag, or a reserved field not zero
 *   -ENOMEM           and the descriptor is not attached
 */
struct ssyncp_attach {
	__u32	abi_version;	/* in: the caller's; out: the module's */
	__u32	mode;		/* SSYNCP_MODE_* */
	__u32	flags;		/* SSYNCP_ATTACH_* */
	__u32	linger_ms;	/* how long the queue outlives its descriptor */
	__u32	watermark;	/* connections; 0: half of the queue */
	__u32	reserved[3];	/* zero */
};

/*
 * Why a record was refused. The counter of a reason is
 * SSYNCP_COUNTER_REFUSED + reason.
 */
enum {
	SSYNCP_REFUSED_STALE,		/* older than what is known here */
	SSYNCP_REFUSED_LOCAL_HOLD,	/* local packets within local_hold_ms */
	SSYNCP_REFUSED_EXPIRED,		/* age_ms >= timeout_ms: dead already */
	SSYNCP_REFUSED_CONFLICT,	/* closing news of a replaced one */
	SSYNCP_REFUSED_FAMILY,		/* not AF_INET, AF_INET6 or built in */
	SSYNCP_REFUSED_PROTOCOL,	/* IPVS does not know it */
	SSYNCP_REFUSED_STATE,		/* out of the protocol's range */
	SSYNCP_REFUSED_FLAGS,		/* one packet; no client port; method */
	SSYNCP_REFUSED_PE,		/* persistence engine not loaded */
	SSYNCP_REFUSED_NO_DEST,		/* no such real server here (yet) */
	SSYNCP_REFUSED_TABLE_FULL,	/* max_conns reached */
	SSYNCP_REFUSED_NO_MEMORY,	/* for a new connection */
	SSYNCP_REFUSED_UNRESOLVED,	/* needs a helper that is missing */
	SSYNCP_REFUSED_REASONS
};

struct ssyncp_refusal {
	__u32	index;		/* of the record in the last write(), from 0 */
	__u32	reason;		/* SSYNCP_REFUSED_* */
};

/*
 * SSYNCP_IOC_REFUSALS: which records of this descriptor's last write() were
 * refused; one that failed with -EFAULT or -EMSGSIZE does not count. entries
 * points to `count` struct ssyncp_refusal. On return count is how many there
 * were; at most the number passed in was copied.
 */
struct ssyncp_refusals {
	__u64	entries;
	__u32	count;
	__u32	reserved;	/* zero */
};

/* Counters of one network namespace, since the module was loaded. */
enum {
	/* capture */
	SSYNCP_COUNTER_QUEUED,		/* connections put into the queue */
	SSYNCP_COUNTER_READ_CALLS,
	SSYNCP_COUNTER_READ_RECORDS,	/* connection records read */
	SSYNCP_COUNTER_WAKEUPS,		/* watermark or event */
	SSYNCP_COUNTER_SKIPPED_CLOSING,	/* closed before it was ever told */
	SSYNCP_COUNTER_SKIPPED_PERSIST,	/* sync_persist_mode: template only */
	SSYNCP_COUNTER_DROPPED_NEW,	/* creation, queue over half full */
	SSYNCP_COUNTER_DROPPED_FULL,	/* anything else, queue full: LOST */
	SSYNCP_COUNTER_DROPPED_FAULT,	/* the reader's buffer faulted: LOST */
	SSYNCP_COUNTER_DROPPED_DRAINED,	/* queued when the reader went away */
	SSYNCP_COUNTER_LOST_EVENTS,
	SSYNCP_COUNTER_MASTER_EVENTS,
	/* snapshot */
	SSYNCP_COUNTER_SNAPSHOTS,
	SSYNCP_COUNTER_SNAPSHOT_RECORDS,
	SSYNCP_COUNTER_SNAPSHOT_RESTARTS, /* the table moved under the cursor */
	/* inject */
	SSYNCP_COUNTER_WRITE_CALLS,
	SSYNCP_COUNTER_WRITE_MALFORMED,	/* batches ended by broken framing */
	SSYNCP_COUNTER_CREATED,
	SSYNCP_COUNTER_UPDATED,
	SSYNCP_COUNTER_REPLACED,	/* created where another dest was known */
	SSYNCP_COUNTER_CLAMPED,		/* timeout over max_timeout */
	SSYNCP_COUNTER_UNBOUND,		/* created without a real server */
	/* one per reason */
	SSYNCP_COUNTER_REFUSED,
	SSYNCP_COUNTERS = SSYNCP_COUNTER_REFUSED + SSYNCP_REFUSED_REASONS
};

/* ssyncp_stats.missing: what the module could not resolve in ip_vs. */
#define SSYNCP_MISSING_FIND_DEST	0x01
#define SSYNCP_MISSING_TRY_BIND_DEST	0x02
#define SSYNCP_MISSING_CT_IN_GET	0x04
#define SSYNCP_MISSING_PE_GETBYNAME	0x08
#define SSYNCP_MISSING_CONN_SEQ_NEXT	0x10
#define SSYNCP_MISSING_FILL_CPORT	0x20
#define SSYNCP_MISSING_CONN_LISTEN	0x40
#define SSYNCP_MISSING_SERVICE_FIND	0x80

/*
 * ssyncp_stats.state. Where somebody hooked on top of us, ours cannot be taken
 * out when the last reader leaves: the module then stays loaded and passes
 * packets on, until they are gone and the device is next closed.
 */
#define SSYNCP_STATE_CAPTURING		0x01	/* a CAPTURE reader is attached */
#define SSYNCP_STATE_LINGERING		0x02	/* its queue waits for the next */
#define SSYNCP_STATE_MASTER_RUNNING	0x04
#define SSYNCP_STATE_INTERPOSED		0x08	/* our hooks are in place */
#define SSYNCP_STATE_BURIED		0x10	/* somebody hooked on top of us */

/*
 * SSYNCP_IOC_STATS. size: in, the bytes that the caller has room for; out,
 * the bytes filled in. New counters are only ever added at the end.
 */
struct ssyncp_stats {
	__u32	size;
	__u32	abi_version;
	__u32	state;		/* SSYNCP_STATE_* */
	__u32	missing;	/* SSYNCP_MISSING_* */
	__u32	queue_len;	/* how many connections the queue can hold */
	__u32	conn_count;	/* connections in this namespace's table */
	__u32	shortest_timeout_ms; /* of an established or half-closed one */
	__u32	reserved;
	__u64	counter[SSYNCP_COUNTERS];
};

#define SSYNCP_IOC_MAGIC	0xb7
#define SSYNCP_IOC_ATTACH	_IOWR(SSYNCP_IOC_MAGIC, 1, struct ssyncp_attach)
#define SSYNCP_IOC_REFUSALS	_IOWR(SSYNCP_IOC_MAGIC, 2, struct ssyncp_refusals)
/* Without the size, which grows: it is in the structure. */
#define SSYNCP_IOC_STATS	_IO(SSYNCP_IOC_MAGIC, 3)

#ifdef __KERNEL__
#include <linux/build_bug.h>
#include <linux/stddef.h>
#define __ssyncp_assert(e)	static_assert(e)
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#include <assert.h>
#include <stddef.h>
#define __ssyncp_assert(e)	static_assert(e, #e)
#else
#define __ssyncp_assert(e)
#endif

__ssyncp_assert(sizeof(struct ssyncp_head) == 4);
__ssyncp_assert(sizeof(struct ssyncp_conn) == 88);
__ssyncp_assert(offsetof(struct ssyncp_conn, flags) == 8);
__ssyncp_assert(offsetof(struct ssyncp_conn, fwmark) == 20);
__ssyncp_assert(offsetof(struct ssyncp_conn, told_ms) == 32);
__ssyncp_assert(offsetof(struct ssyncp_conn, caddr) == 40);
__ssyncp_assert(sizeof(struct ssyncp_seq_option) == 24);
__ssyncp_assert(sizeof(struct ssyncp_pe) == 24);
__ssyncp_assert(sizeof(struct ssyncp_event) == 8);
__ssyncp_assert(sizeof(struct ssyncp_attach) == 32);
__ssyncp_assert(sizeof(struct ssyncp_refusal) == 8);
__ssyncp_assert(sizeof(struct ssyncp_refusals) == 16);
__ssyncp_assert(offsetof(struct ssyncp_stats, counter) == 32);

#undef __ssyncp_assert

#endif /* _UAPI_SSYNCP_H */
