package setup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"bascule/ha/setup/setuptest"
)

// fakeSystem is a machine in memory with Proxmox's and systemd's commands on it.
type fakeSystem struct {
	files   map[string][]byte
	modes   map[string]fs.FileMode
	writes  int
	argv    []string          // every command line that was run, joined
	calls   [][]string        // the same, word by word
	units   map[string]bool   // active and enabled
	remote  map[string][]byte // files on the witness
	pve     *setuptest.PVE
	failAt  int // the command that fails once; 0: none
	noQnetd bool
	armed   bool // the guard
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
		return f.ssh(input, argv[len(argv)-1])
	case "pvecm":
		f.files["/etc/pve/corosync.conf"] = []byte(strings.Replace(string(f.files["/etc/pve/corosync.conf"]), "quorum {", "quorum {\n  device {\n    model: net\n    net {\n      host: "+argv[3]+"\n    }\n  }", 1))
		return nil, nil
	}
	return nil, fmt.Errorf("%s: not found", argv[0])
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
