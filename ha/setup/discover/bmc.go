package discover

import (
	"context"
	"net/netip"
	"strings"
)

// BMC is the own machine's management controller, as the machine sees it from inside.
type BMC struct {
	Present bool   // the kernel speaks to one (/dev/ipmi0)
	Address string // its IPv4 address on the network; "" where it has none or ipmitool is not installed
	VLAN    string // "Disabled", or a number
	Why     string // why the address is not known
}

// Runner runs a program and returns what it printed.
type Runner interface {
	Output(ctx context.Context, name string, args ...string) ([]byte, error)
}

// ReadBMC asks the own BMC for its address, through ipmitool. Facts.BMC says before whether there is one.
func ReadBMC(ctx context.Context, run Runner, b BMC) BMC {
	if !b.Present {
		return b
	}
	out, err := run.Output(ctx, "ipmitool", "lan", "print")
	if err != nil {
		b.Why = "ipmitool lan print: " + err.Error()
		return b
	}
	b.Address, b.VLAN = ParseLAN(out)
	if b.Address == "" {
		b.Why = "the BMC has no address on the network: give it one in the machine's set-up"
	}
	return b
}

// ParseLAN reads what `ipmitool lan print` prints. Addresses that mean "none" are left out.
func ParseLAN(data []byte) (address, vlan string) {
	for line := range strings.Lines(string(data)) {
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(key) {
		case "IP Address":
			if a, err := netip.ParseAddr(value); err == nil && !a.IsUnspecified() {
				address = a.String()
			}
		case "802.1q VLAN ID":
			vlan = value
		}
	}
	return address, vlan
}
