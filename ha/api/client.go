package api

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"time"

	"bascule/ha"
)

// Client talks to one basculed. Its methods are safe for concurrent use; deadlines are the caller's context's. Errors
// are *Error where the daemon answered, and wrap ErrNoAnswer where none did.
type Client struct {
	http *http.Client
	base string
	peer string // for messages
	help string // what to do when nobody answers
}

const (
	dialTimeout = 5 * time.Second
	maxAnswer   = 16 << 20 // bytes; a status of a thousand guests is under 1 MiB
	maxLine     = 1 << 20
)

// NewClient talks over a unix socket. Nothing is opened before the first call.
func NewClient(socket string) *Client {
	d := net.Dialer{Timeout: dialTimeout}
	return &Client{
		http: &http.Client{Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return d.DialContext(ctx, "unix", socket) },
		}},
		base: "http://basculed", peer: socket,
		help: "is basculed running here? (systemctl status basculed); another node: --node ADDRESS",
	}
}

// NewTLSClient talks to addr (host or host:port) over mutual TLS; files are PEM, and read again for each connection.
func NewTLSClient(addr, caFile, certFile, keyFile string) (*Client, error) {
	own, err := loadTLS(caFile, certFile, keyFile)
	if err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host, addr = addr, net.JoinHostPort(addr, DefaultPort)
	}
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) { // what is trusted may change between two connections
		ctx, cancel := context.WithTimeout(ctx, 2*dialTimeout)
		defer cancel()
		d := tls.Dialer{NetDialer: &net.Dialer{Timeout: dialTimeout}, Config: own.clientTLS(host)}
		return d.DialContext(ctx, network, addr)
	}
	return &Client{
		http: &http.Client{Transport: &http.Transport{DialTLSContext: dial}},
		base: "https://" + addr, peer: addr,
		help: "is that node up, its port open, and the certificate of this cluster's authority?",
	}, nil
}

// DefaultPort is the API's TCP port.
const DefaultPort = "8790"

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status asks for the status.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s Status
	return s, c.call(ctx, http.MethodGet, "/v1/status", nil, &s)
}

// Version asks for the daemon's version.
func (c *Client) Version(ctx context.Context) (VersionInfo, error) {
	var v VersionInfo
	return v, c.call(ctx, http.MethodGet, "/v1/version", nil, &v)
}

// Events asks for stored events, ascending.
func (c *Client) Events(ctx context.Context, q EventQuery) ([]StoredEvent, error) {
	var evs []StoredEvent
	return evs, c.call(ctx, http.MethodGet, "/v1/events?"+q.values().Encode(), nil, &evs)
}

// FenceTest has the fencing devices of a node read ("": of all nodes); nothing is switched. It takes up to FenceTestLimit.
func (c *Client) FenceTest(ctx context.Context, node ha.NodeName) (FenceTest, error) {
	var t FenceTest
	return t, c.call(ctx, http.MethodGet, "/v1/fence-test?"+url.Values{"node": {string(node)}}.Encode(), nil, &t)
}

// Request asks for a drain, undrain, fence or confirm-off. The answer means: recorded; the leader takes it up.
func (c *Client) Request(ctx context.Context, kind ha.RequestKind, body RequestBody) (RequestAnswer, error) {
	var a RequestAnswer
	return a, c.call(ctx, http.MethodPost, "/v1/"+string(kind), body, &a)
}

// Follow hands stored events and then each new one to got, also notices about the stream, until ctx ends (nil), got
// returns an error (that one), or the stream breaks (ErrNoAnswer).
func (c *Client) Follow(ctx context.Context, q EventQuery, got func(EventLine) error) error {
	v := q.values()
	v.Set("follow", "1")
	resp, err := c.send(ctx, http.MethodGet, "/v1/events?"+v.Encode(), nil)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	defer resp.Body.Close()
	// A stream without even signs of life is dead: the reader is woken by closing the body.
	watch := time.AfterFunc(3*aliveEvery, func() { resp.Body.Close() })
	defer watch.Stop()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		watch.Reset(3 * aliveEvery)
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var l EventLine
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return fmt.Errorf("events of %s: a line is not understood: %w: compare hactl version with the daemon's", c.peer, err)
		}
		if err := got(l); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("%w at %s: the stream of events ended (%v): %s", ErrNoAnswer, c.peer, lines.Err(), c.help)
}

func (c *Client) call(ctx context.Context, method, path string, body, into any) error {
	resp, err := c.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(into); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("%w at %s within the time given: %w", ErrNoAnswer, c.peer, ctx.Err())
		}
		return fmt.Errorf("answer of %s to %s is not understood: %w: compare hactl version with the daemon's", c.peer, path, err)
	}
	return nil
}

func (c *Client) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var payload io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("request to %s: %w", c.peer, err)
		}
		payload = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, payload)
	if err != nil {
		return nil, fmt.Errorf("request to %s: %w", c.peer, err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.noAnswer(err)
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	e := &Error{Code: resp.StatusCode}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(e); err != nil || e.Message == "" {
		e.Message, e.Do = fmt.Sprintf("%s answered %s to %s", c.peer, resp.Status, path), "is that the API of a basculed?"
	}
	return nil, e
}

func (c *Client) noAnswer(err error) error {
	help := c.help
	if errors.Is(err, fs.ErrPermission) {
		help = "run as root or as a member of the socket's group"
	}
	if u := (*url.Error)(nil); errors.As(err, &u) { // its text would add a URL that nobody typed
		err = u.Err
	}
	if op := (*net.OpError)(nil); errors.As(err, &op) { // the same for the address, which we name ourselves
		err = op.Err
	}
	return fmt.Errorf("%w at %s: %w: %s", ErrNoAnswer, c.peer, err, help)
}
