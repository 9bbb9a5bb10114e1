package setup

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestMachineFiles(t *testing.T) {
	dir := t.TempDir()
	m := Machine{PVE: filepath.Join(dir, "pve")}
	name := filepath.Join(dir, "etc/x/secret")
	for _, text := range []string{"one", "two"} {
		if err := m.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(name)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	if names, err := m.List(filepath.Dir(name)); err != nil || len(names) != 1 || names[0] != "secret" {
		t.Errorf("%v %v", names, err)
	}
	if names, err := m.List(filepath.Join(dir, "nothing")); err != nil || len(names) != 0 {
		t.Errorf("%v %v", names, err)
	}
	if data, err := m.ReadFile(name); err != nil || string(data) != "two" {
		t.Errorf("%q %v", data, err)
	}
}

// What a program was given and what it printed may be secret; what it complains of is not.
func TestMachineRunTellsComplaintsOnly(t *testing.T) {
	_, err := Machine{}.Run(t.Context(), []byte("my-key"), "sh", "-c", "cat; echo no such user >&2; exit 3")
	if err == nil || strings.Contains(err.Error(), "my-key") || !strings.Contains(err.Error(), "no such user") {
		t.Errorf("%v", err)
	}
	out, err := Machine{}.Run(t.Context(), []byte("in"), "cat")
	if err != nil || string(out) != "in" {
		t.Errorf("%q %v", out, err)
	}
}

// pvecm and the programs that it calls tell much before they say what they ended for.
func TestMachineRunTellsTheEndOfALongComplaint(t *testing.T) {
	_, err := Machine{}.Run(t.Context(), nil, "sh", "-c", "for i in $(seq 200); do echo INFO: step $i >&2; done; echo 'the réason' >&2; exit 3")
	if err == nil || !strings.HasSuffix(err.Error(), "INFO: step 200 the réason") || len(err.Error()) > complaintLimit+50 {
		t.Errorf("%v", err)
	}
}

func TestLock(t *testing.T) {
	l := Layout{PVE: t.TempDir()}
	unlock, err := Lock(t.Context(), l, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(t.Context(), l, time.Millisecond); !errors.Is(err, ErrBusy) {
		t.Errorf("two at once: %v", err)
	}
	unlock()
	unlock, err = Lock(t.Context(), l, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}
