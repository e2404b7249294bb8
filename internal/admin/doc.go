// Package admin is how an operator talks to a running ssyncpd: a [Server] in the
// daemon, a [Client] in its commands, and between them JSON over HTTP on a unix
// socket:
//
//	GET  /v1/status    a [Status]
//	POST /v1/resync    a [ResyncRequest], answered by a [Resynced]
//	POST /v1/role      a [RoleRequest], answered by what it asked for
//	POST /v1/explain   an [ExplainRequest], answered by an [Explanation]
//	POST /v1/diff      a [DiffRequest], answered by a [Difference]
//	POST /v1/flush     a [FlushRequest], answered by an [inspect.Flushed]
//
// Whatever else is answered is a [Failure]. Root and the daemon's own user may
// ask: the socket is theirs alone, and who connects is looked at as well.
package admin
