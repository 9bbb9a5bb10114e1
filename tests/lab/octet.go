package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// takeOctet claims 127.N.0.0/16 for this lab: a listener that is held for as long as the world lives keeps other labs away.
func (w *World) takeOctet() error {
	if w.opt.Octet != 0 {
		return w.claimOctet(w.opt.Octet)
	}
	var last error
	for octet := 10; octet < 250; octet++ {
		if last = w.claimOctet(octet); last == nil {
			w.opt.Octet = octet
			return nil
		}
	}
	return fmt.Errorf("no free octet N for 127.N.0.0/16: %w; take a lab down with `halab down`, or end what listens on these ports on every address", last)
}

func (w *World) claimOctet(octet int) error {
	l := Layout{Octet: octet}
	claim, err := net.Listen("tcp4", netip.AddrPortFrom(l.address(255, 1), portClaim).String())
	if err != nil {
		return fmt.Errorf("127.%d.0.0/16 belongs to another lab: %w", octet, err)
	}
	if err := l.tryPorts(w.opt.Nodes); err != nil {
		return errors.Join(err, claim.Close())
	}
	w.claim = claim
	return nil
}

// tryPorts binds every address that the lab will need, once.
func (l Layout) tryPorts(nodes int) error {
	for i := 1; i <= nodes; i++ {
		for _, at := range []struct {
			ip    netip.Addr
			ports []uint16
		}{
			{l.Bind(i), []uint16{PortEtcdClient, PortEtcdPeer, PortGossip, PortAPI, PortPVE}},
			{l.Public(i), []uint16{PortEtcdClient, PortEtcdPeer, PortGossip, PortAPI}},
			{l.BMC(i), []uint16{PortBMC}},
		} {
			for _, port := range at.ports {
				c, err := net.Listen("tcp4", netip.AddrPortFrom(at.ip, port).String())
				if err != nil {
					return fmt.Errorf("%s:%d is taken: %w", at.ip, port, err)
				}
				if err := c.Close(); err != nil {
					return fmt.Errorf("releasing %s:%d: %w", at.ip, port, err)
				}
			}
		}
	}
	return nil
}
