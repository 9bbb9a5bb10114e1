package pki

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"

	"bascule/ha"
)

// Every is how often a daemon looks at its certificate. A day would do; an hour also finds a clock that has just been set.
const Every = time.Hour

// Signer gets a member its certificate.
type Signer interface {
	// Sign answers a request (PEM) of this member with a certificate (PEM). present is the certificate that it has now, damaged perhaps.
	Sign(ctx context.Context, request, present []byte, now time.Time) ([]byte, error)
}

// Keeper keeps one member's certificate valid: in good time it makes a new key and has a certificate for it signed. It never replaces a
// certificate that is not due, and never uses one of an authority that is not trusted. Its methods are safe for concurrent use.
type Keeper struct {
	Name   ha.NodeName
	Files  Files
	Signer Signer
	Remedy string // what the operator does when the certificate has ended and nobody signs another one; "" for nothing of its own

	mu sync.Mutex // one look, or change of what is trusted, at a time
}

// Found is what a look at the certificate has shown.
type Found struct {
	Ends      time.Time // when the certificate ends; zero: there is none that can be read
	Renewed   bool      // just now
	Problem   string    // what is wrong and what the operator does; "" for nothing
	Authority string    // what the operator should know of the authority; "" for nothing
}

// Look renews the certificate if that is due and possible. A certificate that has ended is renewed like any other: at a cold start, or
// with a clock that has run years ahead, this is what lets the member come up. ctx bounds the asking of others.
func (k *Keeper) Look(ctx context.Context, now time.Time) Found {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.Files.Mend(); err != nil {
		return Found{Problem: err.Error()}
	}
	trust, err := LoadTrust(k.Files.CA)
	if err != nil {
		return Found{Problem: err.Error()}
	}
	f := k.look(ctx, trust, now)
	f.Authority = trust.news(now)
	return f
}

func (k *Keeper) look(ctx context.Context, trust Trust, now time.Time) Found {
	certPEM, err := os.ReadFile(k.Files.Cert)
	if err != nil {
		return Found{Problem: fmt.Sprintf("the certificate cannot be read: %v", err)}
	}
	usable := k.usable(certPEM)
	due, left, _ := Renew(certPEM, now)
	if usable == nil {
		cert, _ := ParseCertificate(certPEM)
		outdated := trust.outdated(cert)
		if !outdated && (!due || left > 0 && !trust[0].NotAfter.After(cert.NotAfter)) { // another one would end with the authority, too
			return Found{Ends: now.Add(left)}
		}
		certPEM, err = k.renew(ctx, certPEM, now)
		if err != nil {
			return Found{Ends: now.Add(left), Problem: k.unwell(left, outdated, now) + "; it was not renewed: " + err.Error() + k.more(left)}
		}
	} else if certPEM, err = k.renew(ctx, certPEM, now); err != nil {
		return Found{Problem: fmt.Sprintf("the certificate %s cannot be used: %v; it was not renewed: %v%s", k.Files.Cert, usable, err, k.more(0))}
	}
	if _, left, err = Renew(certPEM, now); err != nil {
		return Found{Problem: err.Error()}
	}
	return Found{Ends: now.Add(left), Renewed: true}
}

// usable says what keeps the present certificate from being shown.
func (k *Keeper) usable(certPEM []byte) error {
	if _, err := ParseCertificate(certPEM); err != nil {
		return err
	}
	_, err := tls.LoadX509KeyPair(k.Files.Cert, k.Files.Key)
	return err
}

func (k *Keeper) unwell(left time.Duration, outdated bool, now time.Time) string {
	if outdated && left > 0 {
		return "its certificate is of the authority that is being replaced"
	}
	return "its certificate " + ending(left, now)
}

func (k *Keeper) more(left time.Duration) string {
	if left > 0 || k.Remedy == "" {
		return ""
	}
	return "; " + k.Remedy
}

// renew has a new certificate signed, puts it into use and returns it.
func (k *Keeper) renew(ctx context.Context, old []byte, now time.Time) ([]byte, error) {
	request, err := k.request()
	if err != nil {
		return nil, err
	}
	certPEM, err := k.Signer.Sign(ctx, request, old, now)
	if err != nil {
		return nil, err
	}
	return certPEM, k.install(certPEM)
}

func ending(left time.Duration, now time.Time) string {
	days := int(left.Abs() / (24 * time.Hour))
	if left <= 0 {
		return fmt.Sprintf("has ended %d days ago by this machine's clock (%s): is the clock right?", days, day(now))
	}
	return fmt.Sprintf("ends in %d days, on %s", days, day(now.Add(left)))
}

// Run looks now and then every hour, and tells what it found, until ctx ends.
func (k *Keeper) Run(ctx context.Context, now func() time.Time, tell func(Found)) {
	t := time.NewTicker(Every)
	defer t.Stop()
	for {
		tell(k.Look(ctx, now()))
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}
