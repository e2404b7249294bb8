// Package ipvsdevice is what synchronizing IPVS connections over /dev/ssyncp
// takes in every version of the protocol: a queue that news is read from, and
// when to look for what is due to be told again.
package ipvsdevice
