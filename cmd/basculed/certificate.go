package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/sirupsen/logrus"

	"bascule/config"
	"bascule/ha"
	"bascule/ha/agent"
	"bascule/ha/api"
	"bascule/ha/setup/pki"
)

// signLimit bounds the asking of one member for a signature.
const signLimit = 10 * time.Second

// newKeeper keeps this member's certificate. A Proxmox node has the authority at hand; a witness asks the nodes.
func newKeeper(cfg *config.Config) *pki.Keeper {
	files := pki.Files{CA: cfg.TLS.CAFile, Cert: cfg.TLS.CertFile, Key: cfg.TLS.KeyFile}
	k := &pki.Keeper{Name: cfg.Node, Files: files}
	if cfg.Role == config.RoleWitness {
		k.Signer = nodesSign{cfg}
		k.Remedy = fmt.Sprintf("a certificate that has ended lets it ask nobody: on a Proxmox node: hactl witness renew %s", cfg.Node)
	} else {
		k.Signer = pki.Own{Authority: authorityOf(cfg), Name: cfg.Node, Addresses: []string{cfg.Self().Address}}
	}
	return k
}

func authorityOf(cfg *config.Config) pki.Authority {
	return pki.Authority{Root: cfg.Proxmox.Root, Trusted: cfg.TLS.CAFile}
}

// nodesSign has a witness's certificate signed by any Proxmox node, over the API and under its present certificate.
type nodesSign struct{ cfg *config.Config }

// Sign implements pki.Signer.
func (n nodesSign) Sign(ctx context.Context, request, _ []byte, _ time.Time) ([]byte, error) {
	var errs []error
	for _, m := range n.cfg.Members {
		if m.Witness || m.Name == n.cfg.Node {
			continue
		}
		certPEM, err := n.ask(ctx, m, request)
		if err == nil {
			return certPEM, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", m.Name, err))
	}
	return nil, fmt.Errorf("no node has signed it: %w", errors.Join(errs...))
}

func (n nodesSign) ask(ctx context.Context, m ha.Member, request []byte) ([]byte, error) {
	t := n.cfg.TLS
	c, err := api.NewTLSClient(net.JoinHostPort(m.Address, strconv.Itoa(n.cfg.API.Port)), t.CAFile, t.CertFile, t.KeyFile)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, signLimit)
	defer cancel()
	return c.SignCertificate(ctx, request)
}

// SignCertificate implements api.Backend: for a witness of the configuration and for nobody else; nodes sign for themselves.
func (b backend) SignCertificate(asker *x509.Certificate, request []byte) ([]byte, error) {
	return signFor(b.cfg, asker, request, time.Now())
}

func signFor(cfg *config.Config, asker *x509.Certificate, request []byte, now time.Time) ([]byte, error) {
	name := ha.NodeName(asker.Subject.CommonName)
	m, ok := cfg.Member(name)
	switch {
	case cfg.Role == config.RoleWitness:
		return nil, fmt.Errorf("%s is a witness and has no authority to sign with", cfg.Node)
	case !ok:
		return nil, fmt.Errorf("%s is no member of this cluster", name)
	case !m.Witness:
		return nil, fmt.Errorf("%s is a Proxmox node and signs for itself", name)
	}
	return authorityOf(cfg).Sign(request, m.Name, []string{m.Address}, asker, now)
}

// renewFirst renews a certificate that is due before anything shows it: one that has ended would keep this member out. A witness asks the
// nodes once it is up, and waits for nobody now.
func (p *parts) renewFirst(ctx context.Context) {
	if p.cfg.Role == config.RoleWitness {
		if err := p.keeper.Files.Mend(); err != nil {
			p.log.Warn(err.Error())
		}
		return
	}
	told(p.keeper.Look(ctx, time.Now()), p.log)
}

func told(f pki.Found, log logrus.FieldLogger) {
	if f.Renewed {
		log.WithField("reason", "valid until "+f.Ends.UTC().Format(time.DateOnly)).Info("this member's certificate was renewed")
	}
	if f.Problem != "" {
		log.Warn(f.Problem)
	}
}

// watchCertificate renews this member's certificate when it is due. Whatever listens or calls reads it anew for its next connection.
func (p *parts) watchCertificate(ctx context.Context) {
	p.keeper.Run(ctx, time.Now, func(f pki.Found) { found(f, p.agent, p.log) })
}

// found tells what a look at the certificate has shown.
func found(f pki.Found, a *agent.Agent, log logrus.FieldLogger) {
	if f.Renewed {
		told(f, log)
	}
	a.Problem("certificate", f.Problem)
	a.Problem("authority", f.Authority)
}
