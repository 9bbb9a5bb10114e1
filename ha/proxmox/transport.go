package proxmox

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"bascule/ha/pve"
)

const (
	dialTimeout   = 5 * time.Second
	idleTimeout   = 2 * time.Second // below pveproxy's keep-alive of 5 s
	maxErrorBody  = 64 << 10
	apiPrefix     = "/api2/json"
	userAgentName = "bascule"
)

// guard stands in front of the API. go-proxmox takes 404, 503 and the proxy codes 595, 596 and 599 for success, and
// drops the reason of 401 and 403; guard turns every answer that is not 2xx into a *StatusError. (With a token there
// is no session that the library would have to renew, so nothing is lost by it.)
//
// Requests that change something get a connection of their own: on a kept one that pveproxy is just closing, a POST
// fails without telling whether it was taken.
type guard struct {
	reads  http.RoundTripper
	writes http.RoundTripper
}

// newGuard builds the transports: only the given CA, the certificate's name, no proxy of the environment.
func newGuard(caFile, serverName string) (*guard, error) {
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("reading the CA of the node's PVE API: %w; set it to /etc/pve/pve-root-ca.pem", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("CA file %s of the node's PVE API holds no PEM certificate; "+
			"set it to /etc/pve/pve-root-ca.pem", caFile)
	}
	base := &http.Transport{
		Proxy:               nil,
		DialContext:         (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, ServerName: serverName},
		TLSHandshakeTimeout: dialTimeout,
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     idleTimeout,
	}
	writes := base.Clone()
	writes.DisableKeepAlives = true
	return &guard{reads: base, writes: writes}, nil
}

// RoundTrip sends the request once. It never repeats one.
func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	next := g.writes
	if req.Method == http.MethodGet {
		next = g.reads
	}
	resp, err := next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	return nil, statusError(req, resp)
}

// statusError reads the reason from the status line and the message from the body, where there is one: answers of
// the proxy have empty bodies, 401 has none either.
func statusError(req *http.Request, resp *http.Response) *StatusError {
	e := &StatusError{
		Method:  req.Method,
		Path:    strings.TrimPrefix(req.URL.Path, apiPrefix),
		Code:    resp.StatusCode,
		Message: strings.TrimSpace(strings.TrimPrefix(resp.Status, fmt.Sprint(resp.StatusCode))),
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	if err != nil {
		return e // the status line has told enough
	}
	var said struct {
		Message pve.Word            `json:"message"`
		Errors  map[string]pve.Word `json:"errors"`
	}
	if json.Unmarshal(body, &said) != nil {
		return e
	}
	if m := strings.TrimSpace(string(said.Message)); m != "" {
		e.Message = m
	}
	for key, text := range said.Errors {
		if e.Fields == nil {
			e.Fields = make(map[string]string)
		}
		e.Fields[key] = string(text)
	}
	return e
}

// close drops idle connections.
func (g *guard) close() {
	for _, rt := range []http.RoundTripper{g.reads, g.writes} {
		if t, ok := rt.(*http.Transport); ok {
			t.CloseIdleConnections()
		}
	}
}
