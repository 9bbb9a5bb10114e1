package api

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// ServerTLS demands a certificate of the cluster's authority from every caller. Files are PEM; the server's certificate names the
// addresses that hactl is given. The key's file must not be readable by others. All files are read again at each handshake: a renewed
// certificate and another authority count from the next connection on; those that stand are not touched (but see Server.Trusting).
func ServerTLS(caFile, certFile, keyFile string) (*tls.Config, error) {
	own, err := loadTLS(caFile, certFile, keyFile)
	if err != nil {
		return nil, err
	}
	first := &tls.Config{
		GetCertificate: own.forServer, ClientCAs: own.trusted(), ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13,
		SessionTicketsDisabled: true, // a resumed session would rest on what was trusted when it began
	}
	first.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		now := first.Clone()
		now.GetConfigForClient, now.ClientCAs = nil, own.trusted()
		return now, nil
	}
	return first, nil
}

// clientTLS is how a caller talks at this moment; it is asked anew for each connection.
func (o *ownFiles) clientTLS(host string) *tls.Config {
	return &tls.Config{ServerName: host, RootCAs: o.trusted(), GetClientCertificate: o.forClient, MinVersion: tls.VersionTLS13}
}

// ownFiles are the authorities that are trusted and the own certificate, each in its file.
type ownFiles struct {
	caFile, certFile, keyFile string

	mu   sync.Mutex
	pool *x509.CertPool   // the last one that could be read
	pair *tls.Certificate // likewise
}

// trusted returns whom the file names now, or the last that it named.
func (o *ownFiles) trusted() *x509.CertPool {
	pool, err := readPool(o.caFile)
	o.mu.Lock()
	defer o.mu.Unlock()
	if err == nil {
		o.pool = pool
	}
	return o.pool
}

// now returns what the files hold. While they are being exchanged they may not fit together; then the last one serves.
func (o *ownFiles) now() *tls.Certificate {
	cert, err := tls.LoadX509KeyPair(o.certFile, o.keyFile)
	o.mu.Lock()
	defer o.mu.Unlock()
	if err == nil {
		o.pair = &cert
	}
	return o.pair
}

func (o *ownFiles) forServer(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return o.now(), nil
}

func (o *ownFiles) forClient(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return o.now(), nil
}

// accepts says whether a certificate that was accepted once still is: an authority may have been dropped since. Its end is not looked at
// again, renewing ends no connection.
func (o *ownFiles) accepts(chain []*x509.Certificate) error {
	if len(chain) == 0 {
		return errors.New("no certificate was shown")
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: o.trusted(), Intermediates: between, CurrentTime: chain[0].NotAfter.Add(-time.Minute),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return err
}

func readPool(caFile string) (*x509.CertPool, error) {
	ca, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("cluster authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("cluster authority %s holds no PEM certificate", caFile)
	}
	return pool, nil
}

func loadTLS(caFile, certFile, keyFile string) (*ownFiles, error) {
	pool, err := readPool(caFile)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(keyFile)
	if err != nil {
		return nil, fmt.Errorf("TLS key: %w", err)
	}
	if info.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("TLS key %s can be read by everybody (mode %v): chmod 600 %s", keyFile, info.Mode().Perm(), keyFile)
	}
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("TLS certificate %s with key %s: %w", certFile, keyFile, err)
	}
	return &ownFiles{caFile: caFile, certFile: certFile, keyFile: keyFile, pool: pool, pair: &cert}, nil
}
