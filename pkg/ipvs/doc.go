// Package ipvs names an IPVS connection as the field does: protocol, client,
// virtual service and real server, forwarding method, flags, state, timeout.
//
// A [Conn] is what a director knows of one connection or of one persistence
// template. It is filled by the codecs of this module (packages wire and
// chardev) and shown by [Conn.String] and [Conn.MarshalJSON].
//
// Numbers are in host order and have the values of the kernel: flags as in
// include/uapi/linux/ip_vs.h, states as in include/net/ip_vs.h of Linux 6.1.
// State names are those of /proc/net/ip_vs_conn (ip_vs_proto.c,
// ip_vs_proto_tcp.c, ip_vs_proto_udp.c, ip_vs_proto_sctp.c). The text form has
// the columns of "ipvsadm -Lcn".
package ipvs
