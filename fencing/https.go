package fencing

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"time"
)

// HTTPTransport is how methods speak HTTPS within one command: straight to the device or service (no proxy), HTTP/1.1, over one connection
// of Dialer's, which is reused within the command only, since a controller may take a second for each TLS handshake.
func HTTPTransport(ctx context.Context, conf *tls.Config) *http.Transport {
	timeout := 30 * time.Second
	if end, ok := ctx.Deadline(); ok {
		timeout = max(time.Until(end), time.Millisecond)
	}
	return &http.Transport{
		DialContext: Dialer(timeout).DialContext, TLSClientConfig: conf,
		TLSNextProto:    map[string]func(string, *tls.Conn) http.RoundTripper{},
		MaxConnsPerHost: 1, MaxResponseHeaderBytes: 64 << 10,
	}
}

// Authorities reads the PEM file of the setting ca_file. Errors wrap ErrSettings.
func Authorities(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%w: ca_file: %w", ErrSettings, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%w: ca_file %s holds no certificate in PEM form", ErrSettings, file)
	}
	return pool, nil
}
