package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"bascule/config"
	"bascule/ha"
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
		Short: "Make a certificate for a witness whose own has ended",
		Long: "A witness renews its certificate by itself: it asks a Proxmox node, eight months ahead. Only one whose certificate has ended, because it was\n" +
			"switched off or cut off for so long, can ask nobody any more. renew signs a certificate with a new key for it and writes both here, to be\n" +
			"copied there by hand. Run it as root on a Proxmox node.",
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			cfg, err := config.Load(file)
			if err != nil {
				return err
			}
			return h.renewWitness(cfg, ha.NodeName(args[0]), out)
		},
	}
	renew.Flags().StringVar(&file, "config", config.DefaultPath, "basculed's configuration `FILE`")
	renew.Flags().StringVar(&out, "out", "", "write certificate and key to this `DIRECTORY` (default: ./NAME)")
	cmd.AddCommand(renew)
	return cmd
}

func (h *hactl) renewWitness(cfg *config.Config, name ha.NodeName, dir string) error {
	m, ok := cfg.Member(name)
	if !ok || !m.Witness {
		return usagef("%s is no witness of this cluster", name)
	}
	ca, err := pki.LoadCA(cfg.Proxmox.Root)
	if err != nil {
		return fmt.Errorf("%w: run this as root on a Proxmox node, whose /etc/pve has it", err)
	}
	if dir == "" {
		dir = string(name)
	}
	certPEM, keyPEM, err := ca.Issue(m.Name, []string{m.Address}, time.Now())
	if err != nil {
		return err
	}
	f := pki.Files{Cert: filepath.Join(dir, "node.pem"), Key: filepath.Join(dir, "node.key")}
	if err := errors.Join(os.MkdirAll(dir, 0o700), f.Write(certPEM, keyPEM)); err != nil {
		return err
	}
	cert, err := pki.ParseCertificate(certPEM)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(h.out, "a certificate of %s until %s: copy %s and %s to it, into /etc/bascule/tls (the key with mode 0600), restart basculed-witness there, and remove them here\n",
		name, cert.NotAfter.UTC().Format(time.DateOnly), f.Cert, f.Key)
	return err
}
