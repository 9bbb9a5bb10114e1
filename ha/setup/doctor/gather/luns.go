package gather

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"bascule/ha/setup/doctor"
)

// luns lists the disks that come over a SAN, with their paths, as the kernel shows them: multipath maps, and disks of iSCSI sessions that
// no map has taken. Nothing is sent to a disk.
func (g *Gatherer) luns(context.Context) (func(*doctor.Facts), error) {
	block := filepath.Join(g.src.Root, "/sys/block")
	var out []doctor.Lun
	taken := map[string]bool{}
	maps, _ := filepath.Glob(filepath.Join(block, "dm-*", "dm", "uuid"))
	for _, file := range maps {
		wwid, ok := strings.CutPrefix(word(file), "mpath-")
		if !ok {
			continue
		}
		dir := filepath.Dir(filepath.Dir(file))
		l := doctor.Lun{WWN: wwid, Device: filepath.Base(dir)}
		slaves, _ := os.ReadDir(filepath.Join(dir, "slaves"))
		for _, s := range slaves {
			taken[s.Name()] = true
			l.Paths++
			if word(filepath.Join(block, s.Name(), "device", "state")) == "running" {
				l.Active++
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
		l := doctor.Lun{WWN: wwid, Device: filepath.Base(dir), Paths: 1}
		if word(filepath.Join(dir, "device", "state")) == "running" {
			l.Active = 1
		}
		out = append(out, l)
	}
	return func(f *doctor.Facts) { f.Luns = out }, nil
}

// word is the trimmed content of a small file; "" when it cannot be read.
func word(file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
