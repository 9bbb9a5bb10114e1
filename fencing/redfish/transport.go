package redfish

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"time"

	"bascule/fencing"
)

// maxBody bounds one answer of a controller, unpacked, in bytes.
const maxBody = 1 << 20

// bounded limits the size of every answer.
type bounded struct{ *http.Transport }

func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.Transport.RoundTrip(req)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxBody)
	}
	return resp, err
}

// newTransport makes the transport of one command: straight to the controller (no proxy), HTTP/1.1, one connection
// that is reused within the command only, since a controller may take a second for each TLS handshake.
func newTransport(ctx context.Context, s settings) (*http.Transport, error) {
	conf, err := s.tlsConfig()
	if err != nil {
		return nil, err
	}
	timeout := 30 * time.Second
	if end, ok := ctx.Deadline(); ok {
		timeout = max(time.Until(end), time.Millisecond)
	}
	return &http.Transport{
		DialContext: fencing.Dialer(timeout).DialContext, TLSClientConfig: conf,
		TLSNextProto:    map[string]func(string, *tls.Conn) http.RoundTripper{},
		MaxConnsPerHost: 1, MaxResponseHeaderBytes: 64 << 10,
	}, nil
}

// sameHost follows redirects (iLO adds a slash) only of reads and only within the controller.
func sameHost(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	if req.Method != http.MethodGet || req.URL.Host != first.Host || req.URL.Scheme != first.Scheme || len(via) > 3 {
		return fmt.Errorf("%w: it redirects to another place", fencing.ErrRubbish)
	}
	return nil
}

func (s settings) tlsConfig() (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	switch {
	case s.caFile != "":
		pem, err := os.ReadFile(s.caFile)
		if err != nil {
			return nil, fmt.Errorf("%w: ca_file: %w", fencing.ErrSettings, err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%w: ca_file %s holds no certificate in PEM form", fencing.ErrSettings, s.caFile)
		}
	case s.fingerprint != "":
		// The pin replaces name and chain: controllers come with certificates of their own making.
		conf.InsecureSkipVerify = true
		conf.VerifyConnection = func(cs tls.ConnectionState) error {
			sum := sha256.Sum256(cs.PeerCertificates[0].Raw)
			if got := hex.EncodeToString(sum[:]); got != s.fingerprint {
				return fmt.Errorf("%w: it shows the fingerprint %s", fencing.ErrUntrusted, got)
			}
			return nil
		}
	default:
		conf.InsecureSkipVerify = true
	}
	return conf, nil
}
