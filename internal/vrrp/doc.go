// Package vrrp is how ssyncpd and a VRRP daemon, keepalived, go together: roles
// of VRRP instances come in, by keepalived's notify FIFO or by whoever sets them,
// and whether this director is synced goes out, in a track file.
//
// A role never stops anything: whoever sees packets of a connection tells of it,
// and whoever is told takes it, whatever the roles are. What a role does is to
// have said again what others may have missed (a new master), and to ask again
// for what was missed here (a new backup). A daemon that stops waits until its
// host is master no more.
package vrrp
