// Package ctlibrary measures internal/ctnetlink against the library
// ti-mo/conntrack, on the same messages of the kernel. It is a module of its
// own: the daemon does not depend on the library.
package ctlibrary
