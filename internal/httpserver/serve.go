// Package httpserver runs a server of HTTP until it is told to stop.
package httpserver

import (
	"context"
	"net"
	"net/http"
	"time"
)

// stopTimeout is what answers that have begun get to end.
const stopTimeout = time.Second

// Serve serves until ctx is done, and returns nil then: once there is nobody
// left who is served. It fails where the listener does.
func Serve(ctx context.Context, server *http.Server, l net.Listener) error {
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if server.Shutdown(limited) != nil {
		server.Close()
	}
	<-served
	return nil
}
