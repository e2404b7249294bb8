// Package ipvsnetlink asks IPVS what neither /proc nor the module tells: which
// of its own sync daemons run. It speaks generic netlink.
package ipvsnetlink
