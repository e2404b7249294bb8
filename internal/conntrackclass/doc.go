// Package conntrackclass is class 2 of version 2 of the protocol: entries of
// netfilter's connection tracking, the objects of package cluster over
// ctnetlink.
//
// The kernel keeps no mark of which entries are copies: marks and labels are
// the rules' own. So the keys of copies are kept here, in a table of bounded
// size, as hashes, with what was known when they were made. What is not in it
// belongs to this director; where it is full, or after a restart, copies pass
// for this director's own. That costs packets, and nothing else: what is told
// of them is what is left of their lifetime, and never fresher than it is.
package conntrackclass
