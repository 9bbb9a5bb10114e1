package api

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"sync"
)

// ServerTLS demands a certificate of the cluster's authority from every caller. Files are PEM; the server's
// certificate names the addresses that hactl is given. The key's file must not be readable by others. A renewed certificate is shown from
// the next connection on; those that stand are not touched.
func ServerTLS(caFile, certFile, keyFile string) (*tls.Config, error) {
	pool, own, err := loadTLS(caFile, certFile, keyFile)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		GetCertificate: own.forServer, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13,
	}, nil
}

// ownCertificate is the certificate in two files, read again at each handshake.
type ownCertificate struct {
	certFile, keyFile string

	mu   sync.Mutex
	good *tls.Certificate // the last one that could be read
}

// now returns what the files hold. While they are being exchanged they may not fit together; then the last one serves.
func (o *ownCertificate) now() *tls.Certificate {
	cert, err := tls.LoadX509KeyPair(o.certFile, o.keyFile)
	o.mu.Lock()
	defer o.mu.Unlock()
	if err == nil {
		o.good = &cert
	}
	return o.good
}

func (o *ownCertificate) forServer(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return o.now(), nil
}

func (o *ownCertificate) forClient(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return o.now(), nil
}

func loadTLS(caFile, certFile, keyFile string) (*x509.CertPool, *ownCertificate, error) {
	ca, err := os.ReadFile(caFile)
	if err != nil {
		return nil, nil, fmt.Errorf("cluster authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, nil, fmt.Errorf("cluster authority %s holds no PEM certificate", caFile)
	}
	info, err := os.Stat(keyFile)
	if err != nil {
		return nil, nil, fmt.Errorf("TLS key: %w", err)
	}
	if info.Mode().Perm()&0o007 != 0 {
		return nil, nil, fmt.Errorf("TLS key %s can be read by everybody (mode %v): chmod 600 %s", keyFile, info.Mode().Perm(), keyFile)
	}
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, nil, fmt.Errorf("TLS certificate %s with key %s: %w", certFile, keyFile, err)
	}
	return pool, &ownCertificate{certFile: certFile, keyFile: keyFile, good: &cert}, nil
}
