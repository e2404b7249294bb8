// Package doctor looks for what keeps a director from synchronizing, and says
// what to do about it: in the kernel, the module, the network, the files and the
// running daemon. It changes nothing.
//
// What it looks at is behind the seams of [Host], so that tests can play every
// finding; [System] is the host that there is. One concern a file: a check is a
// function that is listed in [checks].
package doctor
