//go:build fencingreal

package scsipr

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"bascule/ha/waittest"
)

const configfs = "/sys/kernel/config/target/"

// lio is a disk of the kernel's own SCSI target.
type lio struct {
	t      *testing.T
	name   string
	serial string
}

func newLIO(t *testing.T, name, serial string) *lio {
	l := &lio{t, name, serial}
	l.check(os.WriteFile("/run/"+name, make([]byte, 4<<20), 0o600))
	l.create()
	return l
}

// create makes the kernel's side of the disk.
func (l *lio) create() {
	l.t.Helper()
	core := configfs + "core/fileio_0/" + l.name
	l.check(os.MkdirAll(core, 0o755))
	l.echo(core+"/control", "fd_dev_name=/run/"+l.name+",fd_dev_size=4194304")
	l.echo(core+"/wwn/vpd_unit_serial", l.serial)
	l.echo(core+"/enable", "1")
}

func (l *lio) check(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *lio) echo(file, text string) {
	l.t.Helper()
	l.check(os.WriteFile(file, []byte(text), 0o644))
}

// export makes the disk a target of its own for one initiator.
func (l *lio) export(name string, initiators ...string) (iqn string) {
	l.t.Helper()
	iqn = "iqn.2026-01.internal.test:" + l.name + "." + name
	tpg := configfs + "iscsi/" + iqn + "/tpgt_1"
	l.check(os.MkdirAll(tpg+"/lun/lun_0", 0o755))
	l.check(os.Symlink(configfs+"core/fileio_0/"+l.name, tpg+"/lun/lun_0/disk"))
	l.echo(tpg+"/attrib/authentication", "0")
	for _, i := range initiators {
		acl := tpg + "/acls/" + i + "/lun_0"
		l.check(os.MkdirAll(acl, 0o755))
		l.check(os.Symlink(tpg+"/lun/lun_0", acl+"/disk"))
	}
	l.check(os.MkdirAll(tpg+"/np/127.0.0.1:3260", 0o755))
	l.echo(tpg+"/enable", "1")
	return iqn
}

// attach gives a node the disk over the kernel's initiator, with a port of its own on both sides, and returns its /dev/sdX.
func (l *lio) attach(node string) string {
	l.t.Helper()
	before := disks()
	initiator := "iqn.2026-01.internal.test:" + node
	out, err := exec.Command("iscsistart", "-i", initiator, "-t", l.export(node, initiator), "-g", "1", "-a", "127.0.0.1").CombinedOutput()
	if err != nil {
		l.t.Fatalf("iscsistart: %v: %s", err, out)
	}
	came := ""
	waittest.Until(l.t, waittest.Hang, "a disk comes: "+string(out), func() bool {
		for dev := range disks() {
			if !before[dev] && exists(dev) {
				came = dev
			}
		}
		return came != ""
	})
	return came
}

// disks are the SCSI disks that the kernel has.
func disks() map[string]bool {
	found, _ := filepath.Glob("/sys/class/scsi_disk/*/device/block/*")
	out := map[string]bool{}
	for _, f := range found {
		out["/dev/"+filepath.Base(f)] = true
	}
	return out
}

// writeTo is what a guest does: it writes to the block device, past all caches.
func writeTo(dev string) error {
	f, err := unix.Open(dev, unix.O_WRONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(f)
	raw := make([]byte, 8192)
	at := -int(uintptr(unsafe.Pointer(&raw[0]))) & 4095
	_, err = unix.Pwrite(f, raw[at:at+4096], 4096)
	return err
}

func wantWrite(t *testing.T, dev string, want error) {
	t.Helper()
	if err := writeTo(dev); !errors.Is(err, want) {
		t.Errorf("write to %s: %v, want %v", dev, err, want)
	}
}
