package hetznerrobot

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"

	"bascule/fencing"
)

// maxBody bounds one answer of the service, in bytes.
const maxBody = 64 << 10

// client is the connection of one command: straight to the service (no proxy), HTTP/1.1, reused within the command only.
type client struct {
	ctx      context.Context
	s        settings
	password string
	scrub    *strings.Replacer
	tr       *http.Transport
}

func newClient(ctx context.Context, s settings, password string) (*client, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.caFile != "" {
		pool, err := fencing.Authorities(s.caFile)
		if err != nil {
			return nil, err
		}
		conf.RootCAs = pool
	}
	return &client{ctx: ctx, s: s, password: password, scrub: fencing.Scrubber(s.user, password), tr: fencing.HTTPTransport(ctx, conf)}, nil
}

func (c *client) close() { c.tr.CloseIdleConnections() }

// do sends one request about the server and returns what the service says of its resets. An error of a POST that had begun to leave this
// machine is marked by fencing.Perhaps, unless the service itself says that it did nothing.
func (c *client) do(method string, form url.Values) (options, error) {
	began := false
	ctx := httptrace.WithClientTrace(c.ctx, &httptrace.ClientTrace{WroteHeaders: func() { began = true }})
	req, err := http.NewRequestWithContext(ctx, method, c.s.address+"/reset/"+strconv.Itoa(c.s.number), strings.NewReader(form.Encode()))
	if err != nil {
		return options{}, c.failed(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	req.Header.Set("User-Agent", "bascule")
	req.SetBasicAuth(c.s.user, c.password)
	got, said, err := c.roundTrip(req)
	if err == nil {
		return got, nil
	}
	if form != nil && began && !said {
		return options{}, fencing.Perhaps(c.failed(err))
	}
	return options{}, c.failed(err)
}

// roundTrip sends one request. said: the service itself says, in its documented shape, that it did nothing.
func (c *client) roundTrip(req *http.Request) (got options, said bool, err error) {
	resp, err := c.tr.RoundTrip(req) // no client: it would follow redirects, with the password
	if err != nil {
		return options{}, false, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(http.MaxBytesReader(nil, resp.Body, maxBody))
	if err != nil {
		return options{}, false, err
	}
	return decode(resp.StatusCode, body)
}

// failed makes an error that is safe to show, in this package's kinds.
func (c *client) failed(err error) error {
	kind := fencing.Classify(err)
	if c.ctx.Err() != nil {
		kind = fencing.ErrTimeout
	}
	text := strings.TrimPrefix(err.Error(), kind.Error()+": ")
	return fmt.Errorf("%w: %s", kind, fencing.Printable(c.scrub.Replace(text), 250))
}
