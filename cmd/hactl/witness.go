package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"bascule/config"
	"bascule/ha"
	"bascule/ha/api"
	"bascule/ha/setup/pki"
)

func newWitness(h *hactl) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "witness",
		Short: "Look after members that have no Proxmox (witnesses)",
		RunE: func(cmd *cobra.Command, _ []string) error {
			_ = cmd.Help()
			return &exitError{code: exitUsage}
		},
		Args: unknownCommand,
	}
	var file, out string
	renew := &cobra.Command{
		Use:   "renew NAME",
		Short: "Give a witness a new certificate",
		Long: "renew signs a new certificate for a member that cannot do it itself, because it has no /etc/pve with the cluster's authority. Its basculed makes\n" +
			"the key, which never leaves it, and takes the certificate without a restart. Run it as root on a Proxmox node.\n" +
			"A witness whose certificate has ended already cannot be reached: with --out the certificate and a new key are written here, to be copied there by hand.",
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := config.Load(file)
			if err != nil {
				return err
			}
			return h.renewWitness(cmd.Context(), cfg, ha.NodeName(args[0]), out)
		},
	}
	renew.Flags().StringVar(&file, "config", config.DefaultPath, "basculed's configuration `FILE`")
	renew.Flags().StringVar(&out, "out", "", "write certificate and key to this `DIRECTORY` instead")
	cmd.AddCommand(renew)
	return cmd
}

func (h *hactl) renewWitness(ctx context.Context, cfg *config.Config, name ha.NodeName, out string) error {
	m, ok := cfg.Member(name)
	if !ok {
		return usagef("%s is no member of this cluster", name)
	}
	ca, err := pki.LoadCA(cfg.Proxmox.Root)
	if err != nil {
		return fmt.Errorf("%w: run this as root on a Proxmox node, whose /etc/pve has it", err)
	}
	if out != "" {
		return h.writeCertificate(ca, m, out)
	}
	c, err := memberClient(cfg, m)
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	csr, err := c.CertificateRequest(ctx)
	if err != nil {
		return err
	}
	certPEM, err := ca.Sign(csr, name, time.Now())
	if err != nil {
		return err
	}
	if err := c.SetCertificate(ctx, api.CertificateBody{PEM: string(certPEM), Operator: operator()}); err != nil {
		return err
	}
	return h.renewed(name, certPEM, "")
}

// writeCertificate is for a witness that cannot be reached.
func (h *hactl) writeCertificate(ca *pki.CA, m ha.Member, dir string) error {
	certPEM, keyPEM, err := ca.Issue(m.Name, []string{m.Address}, time.Now())
	if err != nil {
		return err
	}
	f := pki.Files{Cert: filepath.Join(dir, "node.pem"), Key: filepath.Join(dir, "node.key")}
	if err := errors.Join(os.MkdirAll(dir, 0o700), f.Write(certPEM, keyPEM)); err != nil {
		return err
	}
	return h.renewed(m.Name, certPEM, fmt.Sprintf("; copy %s and %s to %s, into /etc/bascule/tls (the key with mode 0600), and remove them here", f.Cert, f.Key, m.Name))
}

func (h *hactl) renewed(name ha.NodeName, certPEM []byte, more string) error {
	cert, err := pki.ParseCertificate(certPEM)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(h.out, "%s has a certificate until %s%s\n", name, cert.NotAfter.UTC().Format(time.DateOnly), more)
	return err
}
