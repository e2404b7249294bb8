// Package ipvsclass is class 1 of version 2 of the protocol: IPVS connections,
// the objects of package cluster over /dev/ssyncp.
package ipvsclass
