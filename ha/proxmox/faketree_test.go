package proxmox

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
)

const membersN1 = `{ "nodename": "n1", "version": 8,
"cluster": { "name": "feas", "version": 3, "nodes": 3, "quorate": 1 },
"nodelist": {
  "n2": { "id": 2, "online": 1, "ip": "10.99.0.2"},
  "n1": { "id": 1, "online": 1, "ip": "10.99.0.1"},
  "n3": { "id": 3, "online": 0, "ip": "10.99.0.3"}
  }
}`

// fakeTree behaves like pmxcfs where it matters here: one config per VMID, silent overwriting of another VMID's file,
// errnos on demand.
type fakeTree struct {
	mu     sync.Mutex
	files  map[string]string
	errs   map[string][]error // "op name" → errors for the next calls
	calls  []string
	onCall func(op, name string)
	block  func(ctx context.Context) error // of the next rename
}

func newTree(files map[string]string) *fakeTree {
	all := map[string]string{".members": membersN1, "nodes/n1/qemu-server/.keep": "", "nodes/n1/lxc/.keep": ""}
	for name, data := range files {
		all[name] = data
	}
	return &fakeTree{files: all, errs: make(map[string][]error)}
}

func (f *fakeTree) fail(op, name string, errs ...error) *fakeTree {
	f.errs[op+" "+name] = errs
	return f
}

// begin records the call and gives the error that is planned for it.
func (f *fakeTree) begin(op, name string) error {
	if f.onCall != nil {
		f.onCall(op, name)
	}
	f.calls = append(f.calls, op+" "+name)
	key := op + " " + name
	if planned := f.errs[key]; len(planned) > 0 {
		f.errs[key] = planned[1:]
		if planned[0] != nil {
			return pathError(op, name, planned[0])
		}
	}
	return nil
}

func (f *fakeTree) ReadFile(_ context.Context, name string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin("read", name); err != nil {
		return nil, err
	}
	data, found := f.files[name]
	if !found {
		return nil, pathError("open", name, syscall.ENOENT)
	}
	return []byte(data), nil
}

func (f *fakeTree) ReadDir(_ context.Context, name string) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin("readdir", name); err != nil {
		return nil, err
	}
	var names []string
	for file := range f.files {
		if dir, base := filepath.Split(file); dir == name+"/" {
			names = append(names, base)
		}
	}
	if names == nil {
		return nil, pathError("open", name, syscall.ENOENT)
	}
	slices.Sort(names)
	return names, nil
}

func (f *fakeTree) Exists(_ context.Context, name string) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin("stat", name); err != nil {
		return false, err
	}
	_, found := f.files[name]
	return found, nil
}

func (f *fakeTree) Rename(ctx context.Context, oldName, newName string) error {
	f.mu.Lock()
	block := f.block
	f.block = nil
	f.mu.Unlock()
	if block != nil {
		if err := block(ctx); err != nil {
			return pathError("rename", oldName, err)
		}
	}
	return f.renameNow(oldName, newName)
}

func (f *fakeTree) renameNow(oldName, newName string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin("rename", oldName); err != nil {
		return err
	}
	data, found := f.files[oldName]
	if !found {
		return pathError("rename", oldName, syscall.ENOENT)
	}
	for name := range f.files {
		if filepath.Base(name) == filepath.Base(newName) && name != oldName && name != newName {
			return pathError("rename", oldName, syscall.EEXIST)
		}
	}
	delete(f.files, oldName)
	f.files[newName] = data
	return nil
}

func (f *fakeTree) WriteFile(_ context.Context, name string, data []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin("write", name); err != nil {
		return err
	}
	f.files[name] = string(data)
	return nil
}

func (f *fakeTree) get(name string) (string, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	data, found := f.files[name]
	return data, found
}
