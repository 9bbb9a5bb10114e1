package backup

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// site is a member's files and a copy of its store.
func site(t *testing.T) (dir string, c Contents, store []byte) {
	t.Helper()
	dir = t.TempDir()
	put := func(path, text string) {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	put(filepath.Join(dir, "etc/bascule/basculed.yaml"), "cluster: lan\n")
	put(filepath.Join(dir, "etc/bascule/tls/node.key"), "secret")
	db := bytes.Repeat([]byte("page"), 1024)
	sum := sha256.Sum256(db)
	store = append(db, sum[:]...)
	put(filepath.Join(dir, "snapshot"), string(store))
	return dir, Contents{Manifest: Manifest{Cluster: "lan", Node: "node1", Taken: time.Unix(1_700_000_000, 0).UTC(), Version: "1"},
		StoreFile: filepath.Join(dir, "snapshot"), Trees: []string{filepath.Join(dir, "etc/bascule"), filepath.Join(dir, "etc/pve/bascule")}}, store
}

func TestWrittenAndRead(t *testing.T) {
	dir, c, store := site(t)
	file := filepath.Join(dir, "b.tar.gz")
	wrote, err := Write(file, c)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(file + ".*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	out := filepath.Join(dir, "out.db")
	m, err := Read(file, out)
	if err != nil || m.Cluster != "lan" || m.Store == "" || m.Store != wrote.Store || len(m.Files) != 2 {
		t.Fatalf("%+v, %v", m, err)
	}
	if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, store) {
		t.Errorf("the store came back with %d bytes, want %d: %v", len(got), len(store), err)
	}
	if info, err := os.Stat(out); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the store's copy: %v, %v", info.Mode(), err)
	}
	// Any tar can take single files out.
	root := filepath.Join(dir, "root")
	if err := os.Mkdir(root, 0o700); err != nil {
		t.Fatal(err)
	}
	key := strings.TrimPrefix(filepath.Join(dir, "etc/bascule/tls/node.key"), "/")
	if out, err := exec.Command("tar", "-xzf", file, "-C", root, key).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	info, err := os.Stat(filepath.Join(root, key))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("unpacked with mode %v: %v", info, err)
	}
}

func TestWriteRefuses(t *testing.T) {
	dir, c, store := site(t)
	file := filepath.Join(dir, "b.tar.gz")
	if err := os.WriteFile(file, []byte("another"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Write(file, c); !errors.Is(err, ErrBackup) {
		t.Errorf("over another file: %v", err)
	}
	store[7] ^= 1
	for what, copied := range map[string][]byte{"damaged": store, "cut": store[:700], "empty": nil} {
		if err := os.WriteFile(c.StoreFile, copied, 0o600); err != nil {
			t.Fatal(err)
		}
		other := filepath.Join(dir, what)
		if _, err := Write(other, c); !errors.Is(err, ErrBackup) {
			t.Errorf("%s copy: %v", what, err)
		}
		if _, err := os.Stat(other); err == nil {
			t.Errorf("%s copy: an archive was made", what)
		}
	}
}

// Every archive that is cut short or has a wrong byte is refused.
func TestReadRefuses(t *testing.T) {
	dir, c, _ := site(t)
	file := filepath.Join(dir, "b.tar.gz")
	if _, err := Write(file, c); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	try := func(what string, data []byte) {
		t.Helper()
		out := filepath.Join(t.TempDir(), "out.db")
		bad := filepath.Join(dir, "bad")
		if err := os.WriteFile(bad, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(bad, out); !errors.Is(err, ErrBackup) {
			t.Errorf("%s: %v", what, err)
		}
	}
	try("empty", nil)
	try("no archive", []byte("hello"))
	for n := 20; n < len(good); n += 37 {
		try("cut short", good[:n])
		flipped := bytes.Clone(good)
		flipped[n] ^= 0x10
		try("a wrong byte", flipped)
	}
	if _, err := Read(filepath.Join(dir, "absent"), ""); !errors.Is(err, ErrBackup) {
		t.Errorf("absent: %v", err)
	}
}
