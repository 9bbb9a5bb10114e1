package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strconv"

	"bascule/config"
	"bascule/ha"
	"bascule/ha/api"
	"bascule/ha/setup"
)

// memberClient talks to another member's basculed with this machine's certificate.
func memberClient(cfg *config.Config, m ha.Member) (*api.Client, error) {
	return api.NewTLSClient(net.JoinHostPort(m.Address, strconv.Itoa(cfg.API.Port)), cfg.TLS.CAFile, cfg.TLS.CertFile, cfg.TLS.KeyFile)
}

// sameMembers compares this node's configuration with the site's own list, which a node that joins writes first: whoever is missing here
// would be left out of a rotation.
func sameMembers(here *config.Config, command string) error {
	text, err := os.ReadFile(setup.Layout{PVE: here.Proxmox.Root}.Common())
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a site that was set up by hand
	}
	if err != nil {
		return err
	}
	common, err := setup.ParseCommon(text)
	if err != nil {
		return err
	}
	conf, err := common.Config()
	if err != nil {
		return err
	}
	names := func(c *config.Config) (out []ha.NodeName) {
		for _, m := range c.Members {
			out = append(out, m.Name)
		}
		slices.Sort(out)
		return out
	}
	if site, own := names(conf), names(here); !slices.Equal(site, own) {
		return fmt.Errorf("the site's members are %v, and this node's configuration has %v: hactl join --update here, then run hactl keys %s again", site, own, command)
	}
	return nil
}
