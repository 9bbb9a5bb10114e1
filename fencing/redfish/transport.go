package redfish

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"net/http"

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

// newTransport makes the transport of one command.
func newTransport(ctx context.Context, s settings) (*http.Transport, error) {
	conf, err := s.tlsConfig()
	if err != nil {
		return nil, err
	}
	return fencing.HTTPTransport(ctx, conf), nil
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
		pool, err := fencing.Authorities(s.caFile)
		if err != nil {
			return nil, err
		}
		conf.RootCAs = pool
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
