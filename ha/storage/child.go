package storage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ownDir is the directory on a storage in which looks write.
const ownDir = ".bascule"

// block is how much is read at once and how it is aligned: enough for disks with sectors of 4096 bytes.
const block = 4096

// RunChild carries out the one order on in and answers on out. It is what the process of a look does; it may hang for ever, and be killed at any
// time. The exit status is 0 when there is an answer.
func RunChild(in io.Reader, out io.Writer) int {
	var o order
	if err := json.NewDecoder(in).Decode(&o); err != nil {
		fmt.Fprintln(os.Stderr, "storage-look: no order:", err)
		return 2
	}
	var a answer
	if err := a.carryOut(o); err != nil {
		a.Problem, a.Skipped = reason(err), notOurs(err)
	}
	if err := json.NewEncoder(out).Encode(a); err != nil {
		return 1
	}
	return 0
}

// carryOut is the look: an error is a storage that fails.
func (a *answer) carryOut(o order) error {
	for _, d := range o.Devices {
		if err := readDirect(d, nil); errors.Is(err, os.ErrNotExist) { // the unit's sandbox hides disks: systemd/storage/block.conf
			return fmt.Errorf("%s: %w", d, errHidden)
		} else if err != nil {
			return fmt.Errorf("reading %s: %w", d, err)
		}
	}
	if o.Path == "" {
		return nil
	}
	if o.List {
		return a.list(o)
	}
	if o.Forget != nil {
		return a.forget(o)
	}
	if o.Mount != "" && !mounted(o.Mount) {
		return fmt.Errorf("%s is not mounted", o.Mount)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(o.Path, &fs); errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("%s: %w", o.Path, errHidden)
	} else if err != nil {
		return fmt.Errorf("statfs %s: %w", o.Path, err)
	}
	if fs.Blocks > 0 && fs.Bavail*20 < fs.Blocks {
		a.Notes = append(a.Notes, "less than 5 % of it is free")
	}
	dir, err := os.Open(o.Path)
	if err != nil {
		return err
	}
	defer dir.Close()
	if _, err := dir.ReadDir(1); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	file := filepath.Join(o.Path, ownDir, markPrefix+o.Node)
	if o.Write {
		return a.write(file, o.Mark)
	}
	if err := readDirect(file, nil); err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// failing are errors of a write that say that the storage fails here. All others another node would meet as well, or they say how it is meant
// (full, read-only, no rights): no reason to leave it.
var failing = []error{syscall.EIO, syscall.ESTALE, syscall.ETIMEDOUT, syscall.ENXIO, syscall.ENODEV, syscall.EREMOTEIO, syscall.ENOLINK, syscall.ECONNRESET,
	syscall.ECONNREFUSED, syscall.EHOSTDOWN, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.ENOTCONN, syscall.EPIPE, syscall.ESHUTDOWN}

// write writes a small file with a mark, to the disk, and reads it back.
func (a *answer) write(file string, mark *Mark) error {
	err := os.MkdirAll(filepath.Dir(file), 0o700)
	content := markText(mark)
	if err == nil {
		err = writeSynced(file, content)
	}
	if err == nil {
		a.Wrote = true
		return readDirect(file, content)
	}
	return a.judgeWrite(file, err)
}

// judgeWrite tells a storage that fails from one that is full or not meant to be written to.
func (a *answer) judgeWrite(file string, err error) error {
	if slices.ContainsFunc(failing, func(e error) bool { return errors.Is(err, e) }) {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	a.Notes = append(a.Notes, "it can be read, but not written to: "+reason(err))
	return nil
}

func writeSynced(file string, content []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}

// readDirect reads the beginning of a file or device past the cache, where that is possible. want, if given, is what must be there.
func readDirect(name string, want []byte) error {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.EINVAL) { // a file system without direct reads
		fd, err = unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		return &os.PathError{Op: "open", Path: name, Err: err}
	}
	defer unix.Close(fd)
	buf := aligned()
	n, err := unix.Pread(fd, buf, 0)
	switch {
	case err != nil:
		return &os.PathError{Op: "read", Path: name, Err: err}
	case n == 0 && want == nil:
		return io.EOF
	case want != nil && !bytes.Equal(buf[:n], want):
		return fmt.Errorf("%s: what was written is not what is read", name)
	}
	return nil
}

// aligned is a buffer as direct reads want it.
func aligned() []byte {
	raw := make([]byte, 2*block)
	off := 0
	if r := int(uintptr(unsafe.Pointer(&raw[0])) % block); r != 0 {
		off = block - r
	}
	return raw[off : off+block]
}

// mounted says whether a directory is a mount point, without touching it.
func mounted(dir string) bool {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return true // not known
	}
	dir = filepath.Clean(dir)
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	for _, line := range strings.Split(string(data), "\n") {
		if f := strings.Fields(line); len(f) > 4 && unescape.Replace(f[4]) == dir {
			return true
		}
	}
	return false
}

// notOurs says whether an error may come from what this process is allowed to see and do (the unit's sandbox, a server that gives root no
// rights): it says nothing about the storage.
func notOurs(err error) bool {
	return errors.Is(err, errHidden) || errors.Is(err, os.ErrPermission)
}

// errHidden: the directory or disk is not there for this process.
var errHidden = errors.New("there is no such thing, as far as basculed may see")

// reason is an error in words.
func reason(err error) string {
	var no syscall.Errno
	if errors.As(err, &no) && no == syscall.ESTALE {
		return printable(err.Error(), 200) + " (its server has forgotten the mount: umount it, Proxmox mounts it again)"
	}
	return printable(err.Error(), 200)
}
