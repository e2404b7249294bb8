// Package cluster runs a director that speaks SSYNCP version 2: it drives a
// peering.Node with links, with objects in the kernel, and with a clock.
//
// It knows nothing of what the objects are: they come as [Objects], one for
// each class. What directors say to each other, and when, is package peering's;
// what is here is everything around it that waits, blocks or fails.
//
// # Goroutines
//
// One goroutine owns the node and the objects, and sends. One more for each
// link receives, opens and checks frames, so that what is forged never reaches
// the first one. It hands over what was good, and waits until that was applied.
//
// # News
//
// Every period the objects are asked for news, as long as the pace has room for
// it. What does not fit waits in the kernel, which merges what happens to one
// object meanwhile.
//
// # Failures
//
// A link that fails is opened again, with a back-off, while the others go on.
// Objects that fail are opened again, too; then everything that this director
// owns is announced, and a peer is asked for everything.
package cluster
