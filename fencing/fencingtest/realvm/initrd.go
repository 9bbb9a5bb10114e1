//go:build fencingreal

package realvm

import (
	"bufio"
	"bytes"
	"debug/elf"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// kernelRoot is where boot/vmlinuz-* and lib/modules/* lie, if not at /: an unpacked linux-image package will do.
const kernelRoot = "BASCULE_TEST_KERNEL"

// findKernel returns a kernel and its directory of modules.
func findKernel(t *testing.T) (kernel, modules string) {
	root := os.Getenv(kernelRoot)
	if root == "" {
		root = "/"
	}
	dirs, _ := filepath.Glob(filepath.Join(root, "lib/modules/*"))
	slices.Reverse(dirs)
	for _, dir := range dirs {
		kernel := filepath.Join(root, "boot", "vmlinuz-"+filepath.Base(dir))
		if _, err := os.Stat(kernel); err == nil && len(moduleFiles(dir)) > 0 {
			return kernel, dir
		}
	}
	t.Skipf("needs a Linux kernel with modules (*.ko) below %s: unpack Debian's linux-image-amd64 somewhere and say so with %s=DIR", root, kernelRoot)
	return "", ""
}

// moduleFiles are the modules of a kernel by name.
func moduleFiles(dir string) map[string]string {
	files := map[string]string{}
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if name, ok := strings.CutSuffix(filepath.Base(path), ".ko"); ok && err == nil {
			files[strings.ReplaceAll(name, "-", "_")] = path
		}
		return nil
	})
	return files
}

// needed lists modules after what they need. One that is not there is built in, or shows by its absence.
func needed(t *testing.T, files map[string]string, names []string, done []string) []string {
	for _, name := range names {
		name = strings.ReplaceAll(name, "-", "_")
		if files[name] == "" || slices.Contains(done, name) {
			continue
		}
		f, err := elf.Open(files[name])
		if err != nil {
			t.Fatal(err)
		}
		info, err := f.Section(".modinfo").Data()
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(info), "\x00") {
			if deps, ok := strings.CutPrefix(line, "depends="); ok && deps != "" {
				done = needed(t, files, strings.Split(deps, ","), done)
			}
		}
		done = append(done, name)
	}
	return done
}

// archive is a cpio archive in the format of an initial file system.
type archive struct {
	bytes.Buffer
	t    *testing.T
	seen map[string]bool
}

func (a *archive) entry(name string, mode int, data []byte) {
	name = strings.TrimPrefix(name, "/")
	if a.seen[name] {
		return
	}
	a.seen[name] = true
	if dir := filepath.Dir(name); dir != "." {
		a.entry(dir, 0o40755, nil)
	}
	fmt.Fprintf(a, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", len(a.seen), mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0)
	a.WriteString(name + "\x00")
	a.Write(make([]byte, -a.Len()&3))
	a.Write(data)
	a.Write(make([]byte, -a.Len()&3))
}

func (a *archive) file(name, from string) {
	data, err := os.ReadFile(from)
	if err != nil {
		a.t.Fatal(err)
	}
	a.entry(name, 0o100755, data)
}

// program adds a program with its libraries.
func (a *archive) program(name, from string) {
	a.file(name, from)
	out, _ := exec.Command("ldd", from).Output() // fails for a static one
	scan := bufio.NewScanner(bytes.NewReader(out))
	for scan.Scan() {
		for _, f := range strings.Fields(scan.Text()) {
			if strings.HasPrefix(f, "/") {
				a.file(f, f)
			}
		}
	}
}

// pack makes the machine's initial file system.
func (m Machine) pack(t *testing.T, modules string) []byte {
	a := &archive{t: t, seen: map[string]bool{}}
	files := moduleFiles(modules)
	list := needed(t, files, m.Modules, nil)
	for _, name := range list {
		a.file("mod/"+name+".ko", files[name])
	}
	a.entry("modules", 0o100644, []byte(strings.Join(list, "\n")+"\n"))
	a.entry("init", 0o100755, []byte(initScript))
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	a.program("tests", self)
	for _, name := range slices.Sorted(maps.Keys(m.Programs)) {
		from, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		a.program(m.Programs[name], from)
	}
	from, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	a.program("bin/busybox", from)
	for _, pattern := range m.Files {
		found, _ := filepath.Glob(pattern)
		for _, f := range found {
			a.program(f, f)
		}
	}
	a.entry("TRAILER!!!", 0, nil)
	return a.Bytes()
}
