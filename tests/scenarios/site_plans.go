package scenarios

import (
	"fmt"
	"strings"

	"bascule/ha"
	"bascule/ha/ladder"
	"bascule/tests/sim"
)

func (t *site) device(f []string) error {
	if len(f) < 4 || f[2] != "for" {
		return fmt.Errorf("%q", strings.Join(f, " "))
	}
	kind, outlet := ha.DeviceKind(f[1]), f[1] == "outlet"
	if outlet {
		kind = ha.PowerDevice
	}
	if kind != ha.PowerDevice && kind != ha.StorageDevice && kind != ha.PoisonDevice && kind != ha.ResetDevice {
		return fmt.Errorf("%q is no kind of device", f[1])
	}
	t.devices = append(t.devices, sim.DeviceSpec{Name: f[0], Kind: kind, Node: f[3], Storages: f[4:], Outlet: outlet})
	return nil
}

func (t *site) level(f []string) error {
	node, ok := strings.CutSuffix(f[0], ":")
	if !ok || len(f) < 2 {
		return fmt.Errorf("%q", strings.Join(f, " "))
	}
	for _, level := range strings.Split(strings.Join(f[1:], " "), "/") {
		t.levels[node] = append(t.levels[node], strings.Fields(level))
	}
	return nil
}

// plans gives each node its levels: all its devices at once, then a human, unless the block says otherwise.
func (t *site) plans() error {
	s := &t.spec
	for _, h := range s.Hosts {
		if !h.Witness && !t.noBMC {
			s.Devices = append(s.Devices, sim.DeviceSpec{Name: h.Name + "-bmc", Kind: ha.PowerDevice, Node: h.Name})
		}
	}
	s.Devices = append(s.Devices, t.devices...)
	for _, d := range s.Devices {
		if !t.isNode(d.Node) {
			return fmt.Errorf(" device %s: %q is no node of this site", d.Name, d.Node)
		}
	}
	for n := range t.levels {
		if !t.isNode(n) {
			return fmt.Errorf(" levels: %q is no node of this site", n)
		}
	}
	for _, a := range t.after {
		if a.node != "all" && !t.isNode(a.node) {
			return fmt.Errorf(" after: %q is no node of this site", a.node)
		}
	}
	for _, h := range s.Hosts {
		if h.Witness {
			continue
		}
		levels, ok := t.levels[h.Name]
		if !ok {
			levels = [][]string{t.devicesOf(h.Name), {"manual"}}
		}
		plan, err := t.plan(levels)
		if err != nil {
			return fmt.Errorf(" levels of %s: %w", h.Name, err)
		}
		for _, a := range t.after {
			if a.node == "all" || a.node == h.Name {
				plan.After = a.after
			}
		}
		s.Plans[ha.NodeName(h.Name)] = plan
	}
	return nil
}

func (t *site) devicesOf(node string) []string {
	var out []string
	for _, d := range t.spec.Devices {
		if d.Node == node {
			out = append(out, d.Name)
		}
	}
	return out
}

func (t *site) plan(levels [][]string) (ladder.Plan, error) {
	var plan ladder.Plan
	for _, names := range levels {
		var level []ladder.Device
		for _, name := range names {
			d, err := t.rung(name)
			if err != nil {
				return plan, err
			}
			level = append(level, d)
		}
		if len(level) > 0 {
			plan.Levels = append(plan.Levels, level)
		}
	}
	return plan, nil
}

func (t *site) rung(name string) (ladder.Device, error) {
	if name == "manual" {
		return ladder.Device{Name: name, Kind: ha.ManualDevice}, nil
	}
	for _, d := range t.spec.Devices {
		if d.Name == name {
			r := ladder.Device{Name: name, Kind: d.Kind, Storages: d.Storages}
			if d.Kind == ha.PoisonDevice {
				r.MsgWait = t.spec.Timing.MinMsgWait()
			}
			return r, nil
		}
	}
	return ladder.Device{}, fmt.Errorf("there is no device %q on this site", name)
}
