package fencing

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"bascule/ha"
)

// Method is a way to fence: one folder below fencing, one line in fencing/methods. At most one of Power, Storage, Poison and Reset is
// set and says what kind of device it has; none: people do what is to be done (manual). Each of them makes a device from settings. It does
// no I/O, so that a file or a device that is missing today does not keep the daemon from starting; an unknown, missing or
// impossible setting is an error that wraps ErrSettings.
type Method struct {
	Name    string
	Keys    []Key
	Power   func(settings map[string]string) (PowerDevice, error)
	Storage func(settings map[string]string) (StorageDevice, error)
	Poison  func(settings map[string]string) (PoisonDevice, error)
	Reset   func(settings map[string]string) (ResetDevice, error)
	// Join makes a node subject to its own device, called on that node again and again: it registers the node's key where there is such
	// a thing, and returns by what the storages know this boot, each as "KIND:VALUE" (what Revoke gets). nil: there is nothing to do.
	Join func(ctx context.Context, settings map[string]string, node ha.NodeName, inc ha.Incarnation) ([]string, error)
}

// Key is one setting of a method.
type Key struct {
	Name     string
	Required bool
	Secret   bool   // its value must never be shown
	Doc      string // what to write, for error messages and documentation
}

// Kind says what the method's devices do.
func (m Method) Kind() ha.DeviceKind {
	switch {
	case m.Power != nil:
		return ha.PowerDevice
	case m.Storage != nil:
		return ha.StorageDevice
	case m.Poison != nil:
		return ha.PoisonDevice
	case m.Reset != nil:
		return ha.ResetDevice
	}
	return ha.ManualDevice
}

// Spec is one configured device: fencing.devices[] of the configuration.
type Spec struct {
	Name     string            `json:"name"`
	Node     ha.NodeName       `json:"node"`
	Method   string            `json:"method"`
	Settings map[string]string `json:"settings"`
}

// Methods is a list of methods with distinct names.
type Methods []Method

// Find returns the method called name.
func (m Methods) Find(name string) (Method, bool) {
	i := slices.IndexFunc(m, func(x Method) bool { return x.Name == name })
	if i < 0 {
		return Method{}, false
	}
	return m[i], true
}

// Open makes the device of a spec. The error wraps ErrSettings and names the device.
func (m Methods) Open(s Spec) (Device, error) {
	method, ok := m.Find(s.Method)
	if !ok {
		return Device{}, fmt.Errorf("fencing device %q of %s: %w: there is no method %q: write one of %s",
			s.Name, s.Node, ErrSettings, s.Method, strings.Join(m.names(), ", "))
	}
	d, err := method.open(s.Settings)
	if err != nil {
		return Device{}, fmt.Errorf("fencing device %q of %s (%s): %w", s.Name, s.Node, s.Method, err)
	}
	return d, nil
}

// Check returns everything that is wrong with a list of devices, joined; nil if nothing is.
func (m Methods) Check(specs []Spec) error {
	var errs []error
	seen := map[string]bool{}
	for i, s := range specs {
		switch {
		case s.Name == "":
			errs = append(errs, fmt.Errorf("fencing device %d (of %q): %w: it has no name: write name: bmc-%s", i+1, s.Node, ErrSettings, s.Node))
			continue
		case seen[s.Name]:
			errs = append(errs, fmt.Errorf("fencing device %q: %w: two devices have this name: give each its own", s.Name, ErrSettings))
		case s.Node == "":
			errs = append(errs, fmt.Errorf("fencing device %q: %w: it has no node: write node: and the name of the Proxmox node that it switches", s.Name, ErrSettings))
		}
		seen[s.Name] = true
		if _, err := m.Open(s); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (m Methods) names() []string {
	var names []string
	for _, x := range m {
		names = append(names, x.Name)
	}
	return names
}
