package gather

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"bascule/ha/setup/doctor"
)

// luns lists the disks that come over a SAN, with their paths, as the kernel shows them: multipath maps, and disks of iSCSI sessions that
// no map has taken. Nothing is sent to a disk.
func (g *Gatherer) luns(context.Context) (func(*doctor.Facts), error) {
	var out []doctor.Lun
	for _, d := range g.sanDisks() {
		out = append(out, d.Lun)
	}
	return func(f *doctor.Facts) { f.Luns = out }, nil
}

// sanDisk is a disk of a SAN with the names of its paths that work.
type sanDisk struct {
	doctor.Lun
	paths []string
}

func (g *Gatherer) sanDisks() []sanDisk {
	block := filepath.Join(g.src.Root, "/sys/block")
	var out []sanDisk
	taken := map[string]bool{}
	maps, _ := filepath.Glob(filepath.Join(block, "dm-*", "dm", "uuid"))
	for _, file := range maps {
		wwid, ok := strings.CutPrefix(word(file), "mpath-")
		if !ok {
			continue
		}
		dir := filepath.Dir(filepath.Dir(file))
		l := sanDisk{Lun: doctor.Lun{WWN: wwid, Device: filepath.Base(dir), Groups: groupsOn(dir)}}
		slaves, _ := os.ReadDir(filepath.Join(dir, "slaves"))
		for _, s := range slaves {
			taken[s.Name()] = true
			l.Paths++
			if word(filepath.Join(block, s.Name(), "device", "state")) == "running" {
				l.Active++
				l.paths = append(l.paths, s.Name())
			}
		}
		out = append(out, l)
	}
	disks, _ := filepath.Glob(filepath.Join(block, "sd*"))
	for _, dir := range disks {
		where, err := filepath.EvalSymlinks(dir)
		if err != nil || taken[filepath.Base(dir)] || !strings.Contains(where, "/session") {
			continue
		}
		wwid := word(filepath.Join(dir, "device", "wwid"))
		if hex, ok := strings.CutPrefix(wwid, "naa."); ok {
			wwid = "3" + hex // as multipath names it
		}
		l := sanDisk{Lun: doctor.Lun{WWN: wwid, Device: filepath.Base(dir), Paths: 1, Groups: groupsOn(dir)}}
		if word(filepath.Join(dir, "device", "state")) == "running" {
			l.Active, l.paths = 1, []string{l.Device}
		}
		out = append(out, l)
	}
	return out
}

// groupsOn are the volume groups of which an active volume lies on a disk, as the device mapper has them.
func groupsOn(disk string) []string {
	var out []string
	names, _ := filepath.Glob(filepath.Join(disk, "holders", "dm-*", "dm", "name"))
	for _, file := range names {
		if group, _, ok := volume(file); ok && !slices.Contains(out, group) {
			out = append(out, group)
		}
	}
	return out
}

// volume is the group of a logical volume, and its UUID as the device mapper has it, by its file dm/name.
func volume(file string) (group, uuid string, ok bool) {
	of, _, named := strings.Cut(strings.ReplaceAll(word(file), "--", "\x00"), "-") // a "-" of a name is doubled
	uuid, lvm := strings.CutPrefix(word(filepath.Join(filepath.Dir(file), "uuid")), "LVM-")
	return strings.ReplaceAll(of, "\x00", "-"), uuid, named && lvm && len(uuid) >= 32
}

// reservations asks each LUN below a volume group, over one of its paths, all at the same time.
func (g *Gatherer) reservations(ctx context.Context) (func(*doctor.Facts), error) {
	ctx, cancel := context.WithTimeout(ctx, reservationLimit)
	defer cancel()
	var mu sync.Mutex
	out := map[string]string{}
	var all sync.WaitGroup
	for _, d := range g.sanDisks() {
		if len(d.Groups) == 0 || len(d.paths) == 0 {
			continue
		}
		all.Go(func() {
			answer, err := g.src.Reservations(ctx, "/dev/"+d.paths[0])
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				out[d.WWN] = answer
			}
		})
	}
	all.Wait()
	return func(f *doctor.Facts) { f.Reservations = out }, nil
}

// reservationLimit is what the LUNs' answers may take, less than the probe's own time.
const reservationLimit = 4 * time.Second

// word is the trimmed content of a small file; "" when it cannot be read.
func word(file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
