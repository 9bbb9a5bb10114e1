package pki

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"slices"
	"time"

	"bascule/ha"
)

// Every is how often a daemon looks at its certificate. A day would do; an hour also finds a clock that has just been set.
const Every = time.Hour

// Keeper keeps one member's certificate valid. It signs with the authority where that can be read, on a Proxmox node; elsewhere it only
// says what is to be done. It never replaces a certificate that is not due and never one of another authority.
type Keeper struct {
	Name      ha.NodeName
	Addresses []string // that it must name; what the present certificate names stays as well
	Files     Files
	Root      string // Proxmox's configuration tree; "" where there is none
}

// Found is what a look at the certificate has shown.
type Found struct {
	Ends    time.Time // when the certificate ends; zero: there is none that can be read
	Renewed bool      // just now
	Problem string    // what is wrong and what the operator does; "" for nothing
}

// Look renews the certificate if that is due and possible. A certificate that has ended is renewed like any other: at a cold start, or
// with a clock that has run years ahead, this is what lets the member come up.
func (k Keeper) Look(now time.Time) Found {
	if err := k.Files.Mend(); err != nil {
		return Found{Problem: err.Error()}
	}
	certPEM, err := os.ReadFile(k.Files.Cert)
	if err != nil {
		return Found{Problem: fmt.Sprintf("the certificate cannot be read: %v", err)}
	}
	_, pairErr := tls.LoadX509KeyPair(k.Files.Cert, k.Files.Key)
	due, left, err := Renew(certPEM, now)
	if err == nil && pairErr == nil && !due {
		return Found{Ends: now.Add(left)}
	}
	certPEM, renewErr := k.renew(certPEM, now)
	if renewErr != nil {
		f := Found{Problem: fmt.Sprintf("the certificate %s cannot be used: %v", k.Files.Cert, firstOf(err, pairErr))}
		if err == nil && pairErr == nil {
			f = Found{Ends: now.Add(left), Problem: fmt.Sprintf("its certificate %s", ending(left, now))}
		}
		f.Problem += "; it was not renewed: " + k.remedy(renewErr)
		return f
	}
	_, left, err = Renew(certPEM, now)
	if err != nil {
		return Found{Problem: err.Error()}
	}
	return Found{Ends: now.Add(left), Renewed: true}
}

// renew signs and writes a new certificate and returns it.
func (k Keeper) renew(old []byte, now time.Time) ([]byte, error) {
	if k.Root == "" {
		return nil, os.ErrNotExist
	}
	ca, err := LoadCA(k.Root)
	if err != nil {
		return nil, err
	}
	trusted, err := os.ReadFile(k.Files.CA)
	if err != nil {
		return nil, err
	}
	if own, err := ParseCertificate(trusted); err != nil || !bytes.Equal(own.Raw, ca.cert.Raw) {
		return nil, fmt.Errorf("%w that the members trust: %s holds another certificate than %s/%s", ErrCA, k.Files.CA, k.Root, SharedCA)
	}
	certPEM, keyPEM, err := ca.Issue(k.Name, k.named(old), now)
	if err != nil {
		return nil, err
	}
	return certPEM, k.Files.Write(certPEM, keyPEM)
}

// named are the addresses for the new certificate.
func (k Keeper) named(old []byte) []string {
	out := slices.Clone(k.Addresses)
	cert, err := ParseCertificate(old)
	if err != nil {
		return out
	}
	for _, n := range addressesOf(cert.DNSNames, cert.IPAddresses) {
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

func (k Keeper) remedy(err error) string {
	if absent(err) {
		return fmt.Sprintf("the cluster's authority (%s in /etc/pve) is not here; for a witness run on a Proxmox node: hactl witness renew %s", SharedCAKey, k.Name)
	}
	return err.Error()
}

func ending(left time.Duration, now time.Time) string {
	days := int(left.Abs() / (24 * time.Hour))
	if left <= 0 {
		return fmt.Sprintf("has ended %d days ago by this machine's clock (%s): is the clock right?", days, day(now))
	}
	return fmt.Sprintf("ends in %d days, on %s", days, day(now.Add(left)))
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Run looks now and then every hour, and tells what it found, until ctx ends.
func (k Keeper) Run(ctx context.Context, now func() time.Time, tell func(Found)) {
	t := time.NewTicker(Every)
	defer t.Stop()
	for {
		tell(k.Look(now()))
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}
