package httpserver_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/httpserver"
)

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// asked serves, and stops while a request is answered, which takes that long.
func asked(t *testing.T, takes time.Duration) (body string, asking, serving error) {
	t.Helper()
	begun := make(chan struct{})
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		time.Sleep(takes)
		io.WriteString(w, "whole")
	})}
	l := listen(t)
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- httpserver.Serve(ctx, server, l) }()
	go func() { <-begun; stop() }()
	response, err := http.Get("http://" + l.Addr().String())
	if err == nil {
		var all []byte
		all, err = io.ReadAll(response.Body)
		response.Body.Close()
		body = string(all)
	}
	return body, err, <-served
}

func TestAnswerThatHasBegunEndsBeforeTheServer(t *testing.T) {
	if body, asking, serving := asked(t, 200*time.Millisecond); body != "whole" || asking != nil || serving != nil {
		t.Errorf("%q, %v; the server: %v", body, asking, serving)
	}
}

func TestAnswerThatTakesTooLongIsCutOff(t *testing.T) {
	if body, asking, serving := asked(t, 3*time.Second); body != "" || asking == nil || serving != nil {
		t.Errorf("%q, %v; the server: %v", body, asking, serving)
	}
}

func TestListenerThatFailsIsSaid(t *testing.T) {
	l := listen(t)
	l.Close()
	if err := httpserver.Serve(t.Context(), &http.Server{}, l); !errors.Is(err, net.ErrClosed) {
		t.Errorf("err = %v", err)
	}
}
