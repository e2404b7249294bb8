// Package conntrack has the entries of netfilter's connection tracking as a
// director tells its peers of them: what class 2 of SSYNCP carries, and what
// the kernel's ctnetlink can give and take.
package conntrack
