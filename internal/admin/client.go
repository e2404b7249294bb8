package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/internal/inspect"
)

// ClientTimeout is how long a client waits for an answer.
const ClientTimeout = 5 * time.Second

// roleTimeout is how long one who tells a role waits: less, as nothing has to be
// found out for the answer, and keepalived waits for nobody.
const roleTimeout = time.Second

// maxAnswer is more than the status of 64 peers, and than the connections that a
// comparison names.
const maxAnswer = 4 << 20

// Client asks a running daemon.
type Client struct {
	path string
	http http.Client
}

// NewClient returns a client that connects when it asks.
func NewClient(path string) *Client {
	return &Client{path: path, http: http.Client{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", path)
			},
			DisableKeepAlives: true,
		},
	}}
}

// Status asks for the daemon's status.
func (c *Client) Status(ctx context.Context) (s Status, err error) {
	err = c.ask(ctx, http.MethodGet, "/v1/status", nil, &s)
	return s, err
}

// Resync has the daemon ask a peer for what it owns, or all where peer is "".
func (c *Client) Resync(ctx context.Context, peer string) (done Resynced, err error) {
	err = c.ask(ctx, http.MethodPost, "/v1/resync", ResyncRequest{Peer: peer}, &done)
	return done, err
}

// Role tells the daemon what a VRRP instance has become.
func (c *Client) Role(ctx context.Context, instance, role string) error {
	ctx, cancel := context.WithTimeout(ctx, roleTimeout)
	defer cancel()
	return c.ask(ctx, http.MethodPost, "/v1/role", RoleRequest{Instance: instance, Role: role}, &RoleRequest{})
}

// Explain asks where connections are.
func (c *Client) Explain(ctx context.Context, r ExplainRequest) (e Explanation, err error) {
	err = c.askWithin(ctx, explainTimeout+ClientTimeout, http.MethodPost, "/v1/explain", r, &e)
	return e, err
}

// Diff asks how the tables of a class differ, of the daemon and of a peer. It may take
// minutes, as tables are read at the pace of snapshots.
func (c *Client) Diff(ctx context.Context, r DiffRequest) (d Difference, err error) {
	err = c.askWithin(ctx, longTimeout+ClientTimeout, http.MethodPost, "/v1/diff", r, &d)
	return d, err
}

// FlushCopies drops the copies of what others own, of a class.
func (c *Client) FlushCopies(ctx context.Context, class string) (f inspect.Flushed, err error) {
	err = c.askWithin(ctx, longTimeout+ClientTimeout, http.MethodPost, "/v1/flush", FlushRequest{Copies: true, Class: class}, &f)
	return f, err
}

// ask sends a document, or nothing where it is nil, and reads the answer.
func (c *Client) ask(ctx context.Context, method, resource string, document, answer any) error {
	return c.askWithin(ctx, ClientTimeout, method, resource, document, answer)
}

// askWithin does that within a time.
func (c *Client) askWithin(ctx context.Context, timeout time.Duration, method, resource string, document, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var body bytes.Buffer
	if document != nil {
		if err := json.NewEncoder(&body).Encode(document); err != nil {
			return err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://ssyncpd"+resource, &body)
	if err != nil {
		return err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return c.unanswered(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return c.unanswered(err)
	}
	if response.StatusCode != http.StatusOK {
		var failure Failure
		if json.Unmarshal(text, &failure) != nil || failure.Error == "" {
			return fmt.Errorf("admin socket %s: %w: %s to %s %s: is that daemon older than this command?", c.path, ErrAnswer, response.Status, method, resource)
		}
		return fmt.Errorf("%w: %s", ErrRefused, failure.Error)
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("admin socket %s: %w: %w", c.path, ErrAnswer, err)
	}
	return nil
}

// unanswered says why there is no answer, and what to do.
func (c *Client) unanswered(err error) error {
	switch {
	case errors.Is(err, unix.ENOENT):
		return fmt.Errorf("admin socket %s: %w: is ssyncpd running? (systemctl status ssyncpd) Its log says where its socket is; --admin-socket names another one here",
			c.path, ErrAbsent)
	case errors.Is(err, unix.ECONNREFUSED):
		return fmt.Errorf("admin socket %s: %w: the ssyncpd that made it is gone: systemctl status ssyncpd says why", c.path, ErrDead)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("admin socket %s: %w for user %d: be root, or the user that ssyncpd runs as", c.path, ErrPermission, os.Geteuid())
	case os.IsTimeout(err), errors.Is(err, unix.EAGAIN):
		return fmt.Errorf("admin socket %s: %w: ssyncpd is stopped, hangs or is overloaded: its log may say why", c.path, ErrTimeout)
	}
	return fmt.Errorf("admin socket %s: %w: %w", c.path, ErrAnswer, err)
}
