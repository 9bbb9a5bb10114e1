package setup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os/exec"
	"slices"
	"strings"

	"bascule/ha/setup/setuptest"
)

// fakeSystem is a machine in memory with Proxmox's and systemd's commands on it.
type fakeSystem struct {
	files     map[string][]byte
	modes     map[string]fs.FileMode
	writes    int
	argv      []string          // every command line that was run, joined
	calls     [][]string        // the same, word by word
	units     map[string]bool   // active and enabled
	remote    map[string][]byte // files on the witness
	pve       *setuptest.PVE
	failAt    int // the command that fails once; 0: none
	noQnetd   bool
	noPackage bool // the witness has no basculed
	noQdevice bool
	noHost    string // an address that ssh does not reach
	dieAt     string // where pvecm qdevice setup is broken off: "certificates" or "configured"
	armed     bool   // the guard
}

func newFake() *fakeSystem {
	return &fakeSystem{files: map[string][]byte{}, modes: map[string]fs.FileMode{}, units: map[string]bool{}, remote: map[string][]byte{},
		pve: setuptest.New()}
}

func (f *fakeSystem) ReadFile(name string) ([]byte, error) {
	data, ok := f.files[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return slices.Clone(data), nil
}

func (f *fakeSystem) WriteFile(name string, data []byte, mode fs.FileMode) error {
	f.files[name], f.modes[name] = slices.Clone(data), mode
	f.writes++
	return nil
}

func (f *fakeSystem) Remove(name string) error {
	for n := range f.files {
		if n == name || strings.HasPrefix(n, strings.TrimSuffix(name, "/")+"/") {
			delete(f.files, n)
		}
	}
	return nil
}

func (f *fakeSystem) List(dir string) (out []string, err error) {
	for _, n := range slices.Sorted(maps.Keys(f.files)) {
		if rest, ok := strings.CutPrefix(n, dir+"/"); ok {
			first, _, _ := strings.Cut(rest, "/")
			if !slices.Contains(out, first) {
				out = append(out, first)
			}
		}
	}
	return out, nil
}

func (f *fakeSystem) Run(_ context.Context, input []byte, argv ...string) ([]byte, error) {
	f.argv, f.calls = append(f.argv, strings.Join(argv, " ")), append(f.calls, slices.Clone(argv))
	if f.failAt > 0 && len(f.argv) == f.failAt {
		return nil, errors.New("broken off")
	}
	switch argv[0] {
	case "pvesh":
		return f.pve.Run(argv[1:])
	case "systemctl":
		return nil, f.systemctl(argv[1:])
	case "basculed":
		if argv[1] == "stop-check" && f.armed {
			return nil, errors.New("exit status 1")
		}
		return nil, nil
	case "ssh":
		if f.noHost != "" && strings.HasSuffix(argv[len(argv)-2], f.noHost) {
			return nil, errors.New("Host key verification failed.")
		}
		return f.ssh(input, argv[len(argv)-1])
	case "pvecm":
		return nil, f.pvecm(argv[1:])
	case "corosync-qdevice-net-certutil":
		if f.noQdevice {
			return nil, &exec.Error{Name: argv[0], Err: exec.ErrNotFound}
		}
		return nil, nil
	}
	return nil, fmt.Errorf("%s: not found", argv[0])
}

const fakeDevice = "\n  device {\n    model: net\n    net {\n      host: %s\n    }\n  }"

// pvecm knows Proxmox's refusals: of certificates that are there, and of a second device, which no force overrules.
func (f *fakeSystem) pvecm(argv []string) error {
	const conf, store = "/etc/pve/corosync.conf", qdeviceStore + "/cert9.db"
	have := string(f.files[conf])
	at := strings.Index(have, "\n  device {")
	if argv[1] == "remove" {
		if at < 0 {
			return errors.New("No QDevice configured!")
		}
		end := at + strings.Index(have[at:], "\n  }") + len("\n  }")
		f.files[conf] = []byte(have[:at] + have[end:])
		delete(f.files, store)
		delete(f.units, unitQDevice)
		return nil
	}
	force := slices.Contains(argv, "--force")
	if at >= 0 {
		return errors.New("QDevice already configured!")
	}
	if len(f.files[store]) > 0 && !force {
		return errors.New("QDevice certificate store already initialised, set force to delete!")
	}
	f.files[store] = []byte("certificates")
	if f.dieAt == "certificates" {
		return errors.New("broken off")
	}
	f.files[conf] = []byte(strings.Replace(have, "quorum {", "quorum {"+fmt.Sprintf(fakeDevice, argv[2]), 1))
	if f.dieAt == "configured" {
		return errors.New("broken off")
	}
	f.units[unitQDevice] = true
	return nil
}

func (f *fakeSystem) systemctl(argv []string) error {
	unit := argv[len(argv)-1]
	switch argv[0] {
	case "is-enabled", "is-active":
		if !f.units[unit] {
			return errors.New("exit status 3")
		}
	case "enable":
		f.units[unit] = true
	case "disable":
		delete(f.units, unit)
	}
	return nil
}

// ssh knows the few commands that the steps send.
func (f *fakeSystem) ssh(input []byte, command string) ([]byte, error) {
	switch {
	case strings.HasPrefix(command, "command -v /usr/sbin/basculed") && f.noPackage:
		return nil, errors.New("exit status 1")
	case strings.Contains(command, "dpkg -i"):
		f.noPackage, f.remote["package"] = false, slices.Clone(input)
	case strings.HasPrefix(command, "cat "):
		return f.remote[strings.Fields(command)[1]], nil
	case strings.HasPrefix(command, "umask"):
		name := command[strings.LastIndex(command, " ")+1:]
		data, err := decode64(input)
		f.remote[name] = data
		return nil, err
	case strings.HasPrefix(command, "systemctl enable"):
		f.units["remote"] = true
	case strings.HasPrefix(command, "systemctl is-active"):
		if !f.units["remote"] {
			return nil, errors.New("exit status 3")
		}
	case strings.Contains(command, "qnetd") && f.noQnetd:
		return nil, errors.New("exit status 1")
	}
	return nil, nil
}
