// Package ipvssync synchronizes IPVS connections: the source and the sink of
// package engine over /dev/ssyncp, in version 1 of the protocol.
//
// The source holds a CAPTURE descriptor and opens a SNAPSHOT one where it is
// asked for; the sink holds an INJECT one.
package ipvssync
