package main

import (
	"net"
	"strconv"

	"bascule/config"
	"bascule/ha"
	"bascule/ha/api"
)

// memberClient talks to another member's basculed with this machine's certificate.
func memberClient(cfg *config.Config, m ha.Member) (*api.Client, error) {
	return api.NewTLSClient(net.JoinHostPort(m.Address, strconv.Itoa(cfg.API.Port)), cfg.TLS.CAFile, cfg.TLS.CertFile, cfg.TLS.KeyFile)
}
