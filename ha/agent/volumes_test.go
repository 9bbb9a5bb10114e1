package agent

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bascule/ha"
)

// volume is one of a guest's on the shared group.
func volume(id ha.VMID, disk int) ha.ActiveVolume {
	return ha.ActiveVolume{Guest: id, Group: "sanvg", Name: fmt.Sprintf("vm-%d-disk-%d", id, disk), UUID: fmt.Sprintf("LVM-%d-%d", id, disk)}
}

func (f *fakeStorages) maps(n ha.NodeName) (out []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, v := range f.mapped[n] {
		out = append(out, v.Name)
	}
	return out
}

func (f *fakeStorages) mapVolumes(n ha.NodeName, volumes ...ha.ActiveVolume) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mapped[n] = append(f.mapped[n], volumes...)
}

// problemOf is what a node reports that begins with a number of volumes.
func problemOf(s ha.Snapshot, n ha.NodeName) string {
	for _, p := range s.Reports[n].Rec.Problems {
		if strings.Contains(p, "volumes of guests that live on other nodes") {
			return p
		}
	}
	return ""
}

// TestVolumesOfAGuestThatLeftAreDeactivated: a guest leaves its node because of a lost storage and is killed there, so that Proxmox does not
// clean up. Its volumes are deactivated there, and nowhere else; those of guests that live here stay.
func TestVolumesOfAGuestThatLeftAreDeactivated(t *testing.T) {
	inColdWorld(t, 3, func(w *world) {
		w.lvm = true
		w.guest(101, ha.QEMU, "n2", true)
		w.guest(102, ha.QEMU, "n3", true)
		f := w.startLooking()
		f.mapVolumes("n2", volume(101, 0), volume(101, 1), volume(900, 0)) // 900 is nobody's whom we know
		f.mapVolumes("n3", volume(102, 0))
		w.pass(5 * time.Minute)
		if got := f.maps("n2"); len(got) != 3 {
			t.Fatalf("of a guest that runs here only %q are left", got)
		}
		f.set("fails", "n2")
		w.until(2*time.Minute, "101 runs elsewhere", func(s ha.Snapshot) bool {
			g := s.Guests[101].Rec
			return g.Node != "n2" && g.State == ha.GuestStarted
		})
		at := w.where(101)[0]
		f.mapVolumes(at, volume(101, 0), volume(101, 1))
		took := w.until(3*time.Minute, "they are inactive on n2", func(ha.Snapshot) bool { return slices.Equal(f.maps("n2"), []string{"vm-900-disk-0"}) })
		if took < 50*time.Second {
			t.Errorf("after %v: Proxmox had no time to do it", took)
		}
		w.pass(3 * time.Minute)
		if got := f.maps(at); !slices.Contains(got, "vm-101-disk-0") || !slices.Contains(got, "vm-101-disk-1") {
			t.Errorf("where it runs only %q are left", got)
		}
		if got := f.maps("n3"); !slices.Contains(got, "vm-102-disk-0") {
			t.Errorf("on n3 only %q are left", got)
		}
		if p := problemOf(w.snapshot(), "n2"); p != "" {
			t.Errorf("n2 has a problem: %s", p)
		}
	})
}

// TestVolumesThatStayAreTold: what the kernel refuses to give up, and what is mounted, is told and tried again; it ends nothing and stops nothing.
func TestVolumesThatStayAreTold(t *testing.T) {
	inColdWorld(t, 3, func(w *world) {
		w.lvm = true
		w.guest(101, ha.QEMU, "n2", true)
		f := w.startLooking()
		mounted := volume(101, 1)
		mounted.Above = []string{"a mounted file system"}
		f.mapVolumes("n1", volume(101, 0), mounted)
		f.inUse["vm-101-disk-0"] = true
		w.until(3*time.Minute, "n1 tells of it", func(s ha.Snapshot) bool {
			p := problemOf(s, "n1")
			return strings.Contains(p, "sanvg/vm-101-disk-0 (device or resource busy) and 1 more;") && strings.HasSuffix(p, "lvchange -an sanvg/vm-101-disk-0")
		})
		f.mu.Lock()
		f.inUse["vm-101-disk-0"] = false
		f.mu.Unlock()
		w.until(time.Minute, "only the mounted one is left", func(s ha.Snapshot) bool {
			return strings.Contains(problemOf(s, "n1"), "here: sanvg/vm-101-disk-1 (on it is a mounted file system);")
		})
		if got := f.maps("n1"); !slices.Equal(got, []string{"vm-101-disk-1"}) {
			t.Errorf("left: %q", got)
		}
		if !w.runsAlone(101, "n2") {
			t.Errorf("101 runs on %v", w.where(101))
		}
	})
}
