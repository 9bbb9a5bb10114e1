//go:build fencingreal

package scsipr

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bascule/fencing"
	"bascule/fencing/fencingtest/realvm"
	"bascule/ha"
)

// The kernel's SCSI disks, over SG_IO, with PREEMPT AND ABORT and APTPL.
func TestGuestDiskFenced(t *testing.T) {
	realvm.Inside(t)
	l := newLIO(t, "disk1", "bascule-1")
	a, b := newNode(t, "node1", l.attach("a")), newNode(t, "node2", l.attach("b"))
	devA, devB := a.settings["luns"], b.settings["luns"]
	a.mustRegister()
	b.mustRegister()
	b.mustRegister()
	wantWrite(t, devA, nil)
	wantWrite(t, devB, nil)
	a.wants(b, ha.AccessOpen)
	if err := mustRead(a, nil); err != nil {
		t.Error(err)
	}
	views, err := Survey(within(t, 5*time.Second), a.settings)
	if err != nil || len(views) != 1 || views[0].Problem != nil || len(views[0].Registrants) != 2 || views[0].Type != 5 || views[0].Holder != a.key() || views[0].Registrants[0].Port == "" {
		t.Errorf("survey %+v %v", views, err)
	}
	began := time.Now()
	out := a.fence(b)
	a.wants(b, ha.AccessRevoked)
	t.Logf("SG_IO: read back after %v; %s", time.Since(began).Round(100*time.Microsecond), out[0])
	if !out[0].Aborted {
		t.Error("LIO knows PREEMPT AND ABORT")
	}
	wantWrite(t, devB, unix.EBADE)
	wantWrite(t, devA, nil)
	fails(t, b.register(), ErrFenced, "reboot")
	saw, err := exec.Command("sg_persist", "--in", "--read-keys", devB).CombinedOutput()
	t.Logf("sg_persist: %s", strings.Join(strings.Fields(string(saw)), " "))
	if err == nil && (!strings.Contains(string(saw), "0x"+a.key().String()) || strings.Contains(string(saw), "0x"+b.key().String())) {
		t.Error("sg_persist sees something else")
	}
	kept, err := os.ReadFile(aptplFile(l))
	if err != nil || !strings.Contains(string(kept), a.key().String()) && !strings.Contains(string(kept), fmt.Sprint(uint64(a.key()))) {
		t.Errorf("what LIO keeps for a power loss: %s %v", kept, err)
	}
	b.reboot(boot2)
	b.mustRegister()
	wantWrite(t, devB, nil)
}

func aptplFile(l *lio) string {
	for _, root := range []string{"/etc/target", "/var/target"} {
		if name := root + "/pr/aptpl_" + l.serial; exists(name) {
			return name
		}
	}
	return "/no-aptpl-file"
}

func exists(name string) bool { _, err := os.Stat(name); return err == nil }

func mustRead(n *node, clients []string) error {
	_, err := n.device().Read(within(n.t, 5*time.Second), clients)
	return err
}

// The holder of the reservation is fenced: the reservation goes over.
func TestGuestDiskHolder(t *testing.T) {
	realvm.Inside(t)
	l := newLIO(t, "disk2", "bascule-2")
	a, b := newNode(t, "node1", l.attach("a")), newNode(t, "node2", l.attach("b"))
	a.mustRegister()
	b.mustRegister()
	b.fence(a)
	b.wants(a, ha.AccessRevoked)
	wantWrite(t, a.settings["luns"], unix.EBADE)
	wantWrite(t, b.settings["luns"], nil)
	a.refuses(b.clients(), fencing.ErrRefused, "own key")
}

// introduce writes down of a disk what udev would, which is not in the machine: multipathd waits for that.
func introduce(t *testing.T, dev string) {
	t.Helper()
	sys := "/sys/class/block/" + filepath.Base(dev)
	number, err := os.ReadFile(sys + "/dev")
	if err != nil {
		t.Fatal(err)
	}
	wwid, err := os.ReadFile(sys + "/device/wwid")
	naa, ok := strings.CutPrefix(strings.TrimSpace(string(wwid)), "naa.")
	if !ok {
		t.Fatalf("%s is called %s %v", dev, wwid, err)
	}
	if err := os.MkdirAll("/run/udev/data", 0o755); err != nil {
		t.Fatal(err)
	}
	record := fmt.Sprintf("I:1\nE:ID_SERIAL=3%s\nE:ID_WWN=0x%s\nE:ID_SCSI=1\n", naa, naa)
	if err := os.WriteFile("/run/udev/data/b"+strings.TrimSpace(string(number)), []byte(record), 0o644); err != nil {
		t.Fatal(err)
	}
}

// multipathConf takes the disks with two letters.
const multipathConf = `defaults {
	find_multipaths no
	user_friendly_names yes
	polling_interval 1
	max_polling_interval 1
	reservation_key file
}
blacklist {
	devnode "^sd[^%s%s]$"
}
`

// A map of dm-multipath with two paths, through mpathpersist and multipathd.
func TestGuestMultipath(t *testing.T) {
	realvm.Inside(t)
	l := newLIO(t, "disk3", "bascule-3")
	one, two := l.attach("a1"), l.attach("a2")
	b := newNode(t, "node2", l.attach("b"))
	l.check(os.WriteFile("/etc/multipath.conf", fmt.Appendf(nil, multipathConf, one[len(one)-1:], two[len(two)-1:]), 0o644))
	introduce(t, one)
	introduce(t, two)
	d := exec.Command("multipathd", "-d", "-s")
	var said strings.Builder
	d.Stdout, d.Stderr = &said, &said
	l.check(d.Start())
	defer func() { d.Process.Kill(); d.Wait() }()
	var dev string
	for deadline := time.Now().Add(15 * time.Second); dev == ""; time.Sleep(100 * time.Millisecond) {
		maps, _ := filepath.Glob("/sys/block/dm-*/dm/uuid")
		for _, m := range maps {
			if u, _ := os.ReadFile(m); strings.HasPrefix(string(u), "mpath-") {
				name, _ := os.ReadFile(filepath.Dir(m) + "/name")
				dev = "/dev/mapper/" + strings.TrimSpace(string(name))
				if !exists(dev) { // no udev here
					os.MkdirAll("/dev/mapper", 0o755)
					l.check(os.Symlink("/dev/"+filepath.Base(filepath.Dir(filepath.Dir(m))), dev))
				}
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("multipathd makes no map: %s", &said)
		}
	}
	a := newNode(t, "node1", dev)
	if tr, err := openDevice(dev); err != nil || tr != (multipath{plain{realDevice(dev)}, dev}) {
		t.Fatalf("%s is taken for %+v %v", dev, tr, err)
	}
	a.mustRegister()
	b.mustRegister()
	a.mustRegister()
	views, err := Survey(within(t, 5*time.Second), a.settings)
	if err != nil || len(views[0].Registrants) != 3 {
		t.Errorf("want the key on both paths and the other node's: %+v %v", views, err)
	}
	wantWrite(t, dev, nil)
	began := time.Now()
	out := a.fence(b)
	a.wants(b, ha.AccessRevoked)
	t.Logf("multipath: read back after %v; %s", time.Since(began).Round(100*time.Microsecond), out[0])
	wantWrite(t, b.settings["luns"], unix.EBADE)
	wantWrite(t, dev, nil)
	b.reboot(boot2)
	b.mustRegister()
	// One path is down while the node is fenced. When it comes back, multipathd must not register the old key on it.
	state := "/sys/class/block/" + filepath.Base(two) + "/device/state"
	l.echo(state, "offline\n")
	time.Sleep(3 * time.Second)
	b.fence(a) // both paths at once
	b.wants(a, ha.AccessRevoked)
	l.echo(state, "running\n")
	time.Sleep(4 * time.Second)
	b.wants(a, ha.AccessRevoked)
	wantWrite(t, one, unix.EBADE)
	wantWrite(t, two, unix.EBADE)
	fails(t, a.register(), ErrFenced, "reboot")
}

func realDevice(name string) string {
	real, err := filepath.EvalSymlinks(name)
	if err != nil {
		return err.Error()
	}
	return real
}

// The initiator in user space against LIO's iSCSI target, which keeps registrations over sessions.
func TestGuestPortal(t *testing.T) {
	realvm.Inside(t)
	l := newLIO(t, "disk4", "bascule-4")
	b := newNode(t, "node2", l.attach("b")) // the victim has it attached by the kernel
	w := newNode(t, "witness", "iscsi://127.0.0.1:3260/"+l.export("w", InitiatorName("witness"))+"/0")
	b.mustRegister()
	w.mustRegister()
	w.mustRegister()
	wantWrite(t, b.settings["luns"], nil)
	w.wants(b, ha.AccessOpen)
	began := time.Now()
	out := w.fence(b)
	w.wants(b, ha.AccessRevoked)
	t.Logf("iSCSI from user space: read back after %v; %s", time.Since(began).Round(100*time.Microsecond), out[0])
	wantWrite(t, b.settings["luns"], unix.EBADE)
	views, err := Survey(within(t, 5*time.Second), w.settings)
	if err != nil || len(views[0].Registrants) != 1 || !strings.HasPrefix(views[0].Registrants[0].Port, InitiatorName("witness")) {
		t.Errorf("%+v %v", views, err)
	}
	stranger := newNode(t, "stranger", w.settings["luns"])
	fails(t, stranger.register(), fencing.ErrAuth, "no access")
}

// restart takes the disk and its targets down and up again, as a power loss does. With what LIO noted (APTPL) it is given back what
// was registered, as the tools do that set a target up at boot.
func (l *lio) restart(name string, notes []byte, initiators ...string) {
	l.t.Helper()
	iqn := configfs + "iscsi/iqn.2026-01.internal.test:" + l.name + "." + name
	tpg, core := iqn+"/tpgt_1", configfs+"core/fileio_0/"+l.name
	l.echo(tpg+"/enable", "0")
	for _, i := range initiators {
		acl := tpg + "/acls/" + i
		l.check(os.Remove(acl + "/lun_0/disk"))
		l.check(syscall.Rmdir(acl + "/lun_0"))
		l.check(syscall.Rmdir(acl))
	}
	l.check(os.Remove(tpg + "/lun/lun_0/disk"))
	for _, dir := range []string{tpg + "/lun/lun_0", tpg + "/np/127.0.0.1:3260", tpg, iqn, core} {
		l.check(syscall.Rmdir(dir))
	}
	l.create()
	for _, entry := range strings.Split(string(notes), "PR_REG_START:")[1:] {
		body, _, _ := strings.Cut(entry, "PR_REG_END")
		_, body, _ = strings.Cut(body, "\n")
		l.echo(core+"/pr/res_aptpl_metadata", strings.Join(strings.Fields(body), ","))
	}
	l.export(name, initiators...)
}

// A target that loses its power after a fencing: with what it noted the victim stays out, without everybody is in.
func TestGuestPortalPowerLoss(t *testing.T) {
	realvm.Inside(t)
	l := newLIO(t, "disk5", "bascule-5")
	initiators := []string{InitiatorName("node1"), InitiatorName("node2")}
	url := "iscsi://127.0.0.1:3260/" + l.export("p", initiators...) + "/0"
	a, b := newNode(t, "node1", url), newNode(t, "node2", url)
	a.mustRegister()
	b.mustRegister()
	a.fence(b)
	a.wants(b, ha.AccessRevoked)
	notes, err := os.ReadFile(aptplFile(l))
	t.Logf("LIO noted: %q %v", notes, err)
	l.restart("p", notes, initiators...)
	a.wants(b, ha.AccessRevoked)
	a.mustRegister()
	fails(t, b.register(), ErrFenced, "")
	l.restart("p", nil, initiators...)
	a.wants(b, ha.AccessOpen)
	fails(t, a.register(), ErrFenced, "lost its reservations")
}
