package bmc

import (
	"fmt"
	"net"

	"github.com/bougou/go-ipmi/pkg/transport/udp"
	"github.com/bougou/go-ipmi/pkg/types"

	"bascule/fencing/ipmi/ipmitest"
)

// chassis is what the BMC shows to IPMI: the same machine, the same commands and faults as to Redfish.
type chassis struct{ b *BMC }

// serveIPMI starts the BMC's other face, or fails if its address is taken.
func (b *BMC) serveIPMI() error {
	conn, err := udp.Listen(b.opt.IPMIAddress)
	if err != nil {
		return fmt.Errorf("the BMC of %s cannot listen for IPMI: %w; another lab or program holds the address", b.opt.Node, err)
	}
	b.ipmi, err = ipmitest.Serve(datagrams{conn, b}, ipmitest.Options{User: b.opt.User, Password: b.opt.Password, Machine: chassis{b}})
	if err != nil {
		_ = conn.Close() // it was never used
		return fmt.Errorf("the BMC of %s: %w", b.opt.Node, err)
	}
	return nil
}

// ChassisStatus implements ipmitest.Machine. IPMI has no words for powering off and powering on.
func (c chassis) ChassisStatus() ([]byte, types.CompletionCode) {
	return ipmitest.Status(c.b.PowerState() != "Off"), types.CodeOK
}

// ChassisControl implements ipmitest.Machine.
func (c chassis) ChassisControl(control byte) types.CompletionCode {
	reset := map[byte]string{0: "ForceOff", 1: "On"}[control]
	switch {
	case reset == "":
		return types.CodeParameterOutOfRange // a cycle or a soft shutdown: fencing must not ask for one
	case !c.b.command(reset):
		return types.CodeNodeBusy
	}
	return types.CodeOK
}

// SystemGUID implements ipmitest.Machine.
func (c chassis) SystemGUID() ([]byte, types.CompletionCode) {
	return ipmitest.GUID(c.b.systemUUID()), types.CodeOK
}

// datagrams is the BMC's network cable for IPMI. A port that refuses looks here as one that nobody answers on: nothing is ever
// connected.
type datagrams struct {
	*udp.Conn
	b *BMC
}

// ReadFrom returns the next datagram that is to be heard.
func (d datagrams) ReadFrom(buf []byte) (int, net.Addr, error) {
	for {
		n, from, err := d.Conn.ReadFrom(buf)
		if err != nil || !d.b.silent() {
			return n, from, err // the server looks at the error's type
		}
	}
}

// WriteTo sends an answer as the fault has it.
func (d datagrams) WriteTo(data []byte, to net.Addr) (int, error) {
	switch f := d.b.Fault(); {
	case d.b.silent():
		return len(data), nil
	case f.Kind == Rubbish:
		data = append([]byte("<html>"), data...)
	case f.Kind == Slow && !d.b.waited(f.Delay):
		return len(data), nil
	}
	return d.Conn.WriteTo(data, to)
}
