//go:build fencingreal

package storagereal

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bascule/fencing/fencingtest/realvm"
	"bascule/ha"
	"bascule/ha/setup/doctor/gather"
	"bascule/ha/storage"
)

const (
	sanFile = "/tmp/lun"
	sanIQN  = "iqn.2026-01.internal.test:san"
	sanWWN  = "360000000000000000bascule01"
)

// san is tgtd with one disk, which two targets offer: two ways to one LUN.
type san struct {
	t    *testing.T
	d    *exec.Cmd
	life int // how often it was started; targets of another life have other names, for the kernel keeps the sessions of the old ones
}

func (s *san) iqn(target string) string { return fmt.Sprintf("%s-%d-%s", sanIQN, s.life, target) }

func newSAN(t *testing.T) *san {
	run(t, "mkdir", "-p", "/var/run/tgtd", "/etc/lvm", "/run/lvm", "/run/lock/lvm", "/etc/multipath", "/run/udev/data", "/var/lock")
	run(t, "truncate", "-s", "96M", sanFile)
	s := &san{t: t}
	s.start()
	return s
}

func (s *san) start() {
	s.t.Helper()
	s.life++
	s.d = exec.Command("tgtd", "-f")
	if err := s.d.Start(); err != nil {
		s.t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		out, err := try(s.t, "tgtadm", "--lld", "iscsi", "--op", "new", "--mode", "target", "--tid", "1", "-T", s.iqn("1"))
		if err == nil {
			break
		}
		if time.Now().After(end) {
			s.t.Fatalf("tgtd takes no target: %s", out)
		}
	}
	s.adm("--op", "new", "--mode", "target", "--tid", "2", "-T", s.iqn("2"))
	for _, tid := range []string{"1", "2"} {
		s.adm("--op", "new", "--mode", "logicalunit", "--tid", tid, "--lun", "1", "-b", sanFile)
		s.adm("--op", "update", "--mode", "logicalunit", "--tid", tid, "--lun", "1", "--params", "scsi_id=bascule01,scsi_sn=bascule01")
		s.adm("--op", "bind", "--mode", "target", "--tid", tid, "-I", "ALL")
	}
}

func (s *san) adm(args ...string) {
	s.t.Helper()
	run(s.t, append([]string{"tgtadm", "--lld", "iscsi"}, args...)...)
}

// kill is the storage's power loss.
func (s *san) kill() {
	_ = s.d.Process.Kill()
	_ = s.d.Wait()
}

// login opens both ways and returns the kernel's names of the disks that came. A session that is lost gives errors after three seconds, as
// sites with multipath have it.
func (s *san) login() (came []string) {
	s.t.Helper()
	for _, n := range []string{"1", "2"} {
		before := disks()
		out := run(s.t, "iscsistart", "-i", "iqn.2026-01.internal.test:n1", "-t", s.iqn(n), "-g", "1", "-a", "127.0.0.1")
		for end := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
			fresh := slices.DeleteFunc(disks(), func(d string) bool { return slices.Contains(before, d) })
			if len(fresh) == 1 {
				came = append(came, fresh[0])
				break
			}
			if time.Now().After(end) {
				s.t.Fatalf("no disk came: %s", out)
			}
		}
	}
	sessions, _ := filepath.Glob("/sys/class/iscsi_session/session*/recovery_tmo")
	for _, f := range sessions {
		_ = os.WriteFile(f, []byte("3"), 0o600) // a session that is lost already refuses
	}
	for _, d := range came {
		number, err := os.ReadFile("/sys/class/block/" + d + "/dev")
		if err != nil {
			s.t.Fatal(err)
		}
		// What udev would have written down, which is not in the machine: multipathd waits for that.
		write(s.t, "/run/udev/data/b"+strings.TrimSpace(string(number)), "I:1\nE:ID_SERIAL="+sanWWN+"\nE:ID_WWN=0x6000\nE:ID_SCSI=1\n")
	}
	return came
}

// disks are the SCSI disks that the kernel has.
func disks() (out []string) {
	found, _ := filepath.Glob("/sys/class/scsi_disk/*/device/block/*")
	for _, f := range found {
		out = append(out, filepath.Base(f))
	}
	return out
}

// multipath starts the daemon and returns the map over the disks.
func multipath(t *testing.T) string {
	t.Helper()
	write(t, "/etc/multipath.conf", "defaults {\n\tfind_multipaths no\n\tuser_friendly_names yes\n\tpolling_interval 1\n\tmax_polling_interval 1\n\tno_path_retry queue\n}\n")
	d := exec.Command("multipathd", "-d", "-s")
	var said bytes.Buffer
	d.Stdout, d.Stderr = &said, &said
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Process.Kill(); _ = d.Wait() })
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		maps, _ := filepath.Glob("/sys/block/dm-*/slaves/*")
		if len(maps) == 2 {
			return filepath.Base(filepath.Dir(filepath.Dir(maps[0])))
		}
		if time.Now().After(end) {
			_ = d.Process.Kill()
			t.Fatalf("multipathd makes no map of two: %q %s", maps, &said)
		}
	}
}

const lvmConf = `devices { obtain_device_list_from_udev=0 use_devicesfile=0 }
activation { udev_sync=0 udev_rules=0 monitoring=0 }
backup { backup=0 archive=0 }
`

// lvm runs one of LVM's commands.
func lvm(t *testing.T, args ...string) string {
	t.Helper()
	out := run(t, append([]string{"lvm"}, args...)...)
	return out
}

// active are LVM's own words for whether a volume is active here.
func active(t *testing.T, volume string) string {
	t.Helper()
	return lvm(t, "lvs", "--noheadings", "-o", "lv_active", "sanvg/"+volume)
}

func activeVolume(t *testing.T, l *storage.Looker, name string) ha.ActiveVolume {
	t.Helper()
	all := l.Active()
	i := slices.IndexFunc(all, func(v ha.ActiveVolume) bool { return v.Name == name })
	if i < 0 {
		t.Fatalf("%s is not among the active ones: %+v", name, all)
	}
	return all[i]
}

func deactivate(t *testing.T, l *storage.Looker, v ha.ActiveVolume) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), lookTime)
	defer cancel()
	began := time.Now()
	err := l.Deactivate(ctx, v)
	t.Logf("deactivating %s after %.2f s: %v", v.Name, time.Since(began).Seconds(), err)
	return err
}

// TestGuestLVM: volumes of two guests on a volume group, on a map of two paths, on a LUN of tgtd.
func TestGuestLVM(t *testing.T) {
	realvm.Inside(t)
	s := newSAN(t)
	paths := s.login()
	dm := multipath(t)
	write(t, "/etc/lvm/lvm.conf", lvmConf)
	lvm(t, "pvcreate", "-y", "/dev/"+dm)
	lvm(t, "vgcreate", "sanvg", "/dev/"+dm)
	l, place := newLooker(t, "/etc/pve"), ha.StoragePlace{Name: "san", Type: "lvm", VG: "sanvg"}
	if got := look(t, l, place); !got.Skipped { // without udev nothing says where the group lies, until a volume is active
		t.Error("a group of which nothing is active")
	}
	for _, v := range []string{"vm-101-disk-0", "vm-101-disk-1", "vm-102-disk-0", "vm-103-disk-0"} {
		lvm(t, "lvcreate", "-y", "-Wn", "-L", "16M", "-n", v, "sanvg")
	}
	if got := look(t, l, place); !good(got) || got.Paths == nil || *got.Paths != (ha.PathCount{Up: 2, All: 2}) {
		t.Error("a group on two paths")
	}
	facts(t, 2)
	aPathLess(t, l, place, paths[0])
	facts(t, 2)
	open := whatIsOpen(t, l)
	deactivated(t, l)
	theStorageIsLost(t, s, l, place, open)
	theStorageReturns(t, s, l, place)
}

// facts: what the doctor finds is what LVM says, and the paths.
func facts(t *testing.T, paths int) {
	t.Helper()
	got := gathered(t, gather.Source{ReadPVE: func(context.Context, string) ([]byte, error) {
		return []byte("lvm: san\n\tvgname sanvg\n\tcontent images\n\tshared 1\n"), nil
	}})
	if want := "volume group " + strings.ReplaceAll(lvm(t, "vgs", "--noheadings", "-o", "vg_uuid", "sanvg"), "-", ""); got["san"] != want {
		t.Errorf("the doctor finds %q behind the storage, LVM says %q", got["san"], want)
	}
	if want := fmt.Sprintf("%d/2", paths); got["LUN "+sanWWN] != want {
		t.Errorf("the doctor finds %q", got)
	}
}

func aPathLess(t *testing.T, l *storage.Looker, place ha.StoragePlace, path string) {
	t.Helper()
	state := "/sys/class/block/" + path + "/device/state"
	write(t, state, "offline\n")
	lookUntil(t, l, place, "one path of two, and no loss", func(got ha.StorageLook) bool {
		return good(got) && got.Paths != nil && got.Paths.Up == 1 && noted(got, "1 of 2 paths left")
	})
	facts(t, 1)
	write(t, state, "running\n")
	lookUntil(t, l, place, "two paths", func(got ha.StorageLook) bool { return good(got) && got.Paths != nil && got.Paths.Up == 2 })
}

// whatIsOpen: a volume with a file system in use is held, a volume that anybody has open is not deactivated. One stays open.
func whatIsOpen(t *testing.T, l *storage.Looker) *os.File {
	t.Helper()
	run(t, "mkfs.ext4", "-q", "/dev/sanvg/vm-101-disk-1")
	run(t, "mount", "-t", "ext4", "/dev/sanvg/vm-101-disk-1", "/mnt")
	if held := l.Held(101); len(held) != 1 || !strings.Contains(held[0], "sanvg-vm-101-disk-1") {
		t.Errorf("held of 101: %q", held)
	}
	v := activeVolume(t, l, "vm-101-disk-1")
	if v.Guest != 101 || v.Group != "sanvg" || len(v.Above) != 1 {
		t.Errorf("%+v", v)
	}
	if err := deactivate(t, l, v); err == nil || !strings.Contains(err.Error(), "busy") {
		t.Errorf("mounted: %v", err)
	}
	run(t, "umount", "/mnt")
	if held := l.Held(101); held != nil {
		t.Errorf("held of 101: %q", held)
	}
	f, err := os.OpenFile("/dev/sanvg/vm-103-disk-0", os.O_RDWR|os.O_SYNC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := deactivate(t, l, activeVolume(t, l, "vm-103-disk-0")); err == nil || !strings.Contains(err.Error(), "busy") {
		t.Errorf("open: %v", err)
	}
	if _, err := f.Write(bytes.Repeat([]byte("x"), 4096)); err != nil {
		t.Errorf("who has it open cannot write after that: %v", err)
	}
	return f
}

// deactivated: LVM agrees, and what is on the volume is there when it is activated again, as Proxmox does.
func deactivated(t *testing.T, l *storage.Looker) {
	t.Helper()
	const word = "of guest 101"
	write(t, "/dev/sanvg/vm-101-disk-0", word)
	run(t, "sync")
	if got := active(t, "vm-101-disk-0"); got != "active" {
		t.Fatalf("LVM says %q", got)
	}
	for _, name := range []string{"vm-101-disk-0", "vm-101-disk-1"} {
		if err := deactivate(t, l, activeVolume(t, l, name)); err != nil {
			t.Error(err)
		}
		if got := active(t, name); got != "" {
			t.Errorf("LVM says of %s: %q", name, got)
		}
	}
	if got := active(t, "vm-102-disk-0"); got != "active" {
		t.Errorf("LVM says of another guest's: %q", got)
	}
	lvm(t, "lvchange", "-aey", "sanvg/vm-101-disk-0")
	lvm(t, "lvchange", "--refresh", "sanvg/vm-101-disk-0")
	data, err := os.ReadFile("/dev/sanvg/vm-101-disk-0")
	if err != nil || !bytes.HasPrefix(data, []byte(word)) {
		t.Errorf("activated again it holds %.20q, %v", data, err)
	}
}

// theStorageIsLost in the middle of looking. While multipath queues, the looks hang, out of reach, and volumes can be deactivated all the same;
// when it does not, they fail.
func theStorageIsLost(t *testing.T, s *san, l *storage.Looker, place ha.StoragePlace, open *os.File) {
	t.Helper()
	s.kill()
	lookUntil(t, l, place, "hung, and its process does not come back", func(got ha.StorageLook) bool {
		return hung(got) && strings.Contains(got.Problem, "has not come back")
	})
	began := time.Now()
	out, err := tryFor(t, 3*time.Second, "lvm", "lvchange", "-an", "sanvg/vm-102-disk-0")
	t.Logf("lvchange -an on the lost storage: %v %q after %.1f s", err, out, time.Since(began).Seconds())
	if err := deactivate(t, l, activeVolume(t, l, "vm-102-disk-0")); err != nil {
		t.Error(err)
	}
	if err := deactivate(t, l, activeVolume(t, l, "vm-103-disk-0")); err == nil {
		t.Error("one that is open was deactivated")
	}
	run(t, "multipathd", "disablequeueing", "maps")
	lookUntil(t, l, place, "errors", func(got ha.StorageLook) bool { return bad(got) && strings.Contains(got.Problem, "input/output error") })
	if _, err := open.Write([]byte("y")); err == nil {
		t.Error("a write went through")
	}
	_ = open.Close()
}

// theStorageReturns, with sessions of its own: two paths again.
func theStorageReturns(t *testing.T, s *san, l *storage.Looker, place ha.StoragePlace) {
	t.Helper()
	s.start()
	for _, d := range s.login() {
		run(t, "multipathd", "add", "path", d)
	}
	lookUntil(t, l, place, "good again", func(got ha.StorageLook) bool { return good(got) && got.Paths != nil && got.Paths.Up == 2 })
	if got := active(t, "vm-102-disk-0"); got != "" {
		t.Errorf("LVM says of the one that was deactivated without the storage: %q", got)
	}
}

func tryFor(t *testing.T, limit time.Duration, argv ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.WaitDelay = 100 * time.Millisecond
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	done := make(chan error, 1)
	go func() { done <- cmd.Run() }()
	select {
	case err := <-done:
		return strings.TrimSpace(out.String()), err
	case <-time.After(limit + time.Second): // it waits in the kernel
		return "", fmt.Errorf("it cannot even be killed")
	}
}
