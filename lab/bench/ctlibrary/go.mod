module github.com/ssyncp/ssyncp/lab/bench/ctlibrary

go 1.26.0

replace github.com/ssyncp/ssyncp => ../../..

require (
	github.com/mdlayher/netlink v1.7.2
	github.com/ssyncp/ssyncp v0.0.0-00010101000000-000000000000
	github.com/ti-mo/conntrack v0.6.0
)

require (
	github.com/google/go-cmp v0.7.0 // indirect
	github.com/josharian/native v1.1.0 // indirect
	github.com/mdlayher/socket v0.5.1 // indirect
	github.com/pkg/errors v0.9.1 // indirect
	github.com/ti-mo/netfilter v0.5.3 // indirect
	golang.org/x/net v0.62.0 // indirect
	golang.org/x/sync v0.14.0 // indirect
	golang.org/x/sys v0.50.0 // indirect
)
