package gather

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"bascule/ha/pve"
	"bascule/ha/setup/doctor"
)

// storages finds out what stands behind each shared storage of Proxmox that has a path here, or a volume group. Nothing of the storages
// themselves is touched: a dead one would hang whoever does.
func (g *Gatherer) storages(ctx context.Context) (func(*doctor.Facts), error) {
	text, err := g.src.ReadPVE(ctx, "storage.cfg")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []doctor.Storage
	machine, _ := os.ReadFile(filepath.Join(g.src.Root, "/etc/machine-id"))
	for _, s := range pve.ParseStorages(text) {
		if !s.On(g.src.Config.Node) {
			continue
		}
		st := doctor.Storage{Name: s.Name, Type: s.Type, Shared: s.Shared, Path: s.Path()}
		if st.Path != "" && st.Shared {
			if m, err := mountOf("/proc/self/mountinfo", filepath.Join(g.src.Root, st.Path)); err == nil {
				st.Behind = behind(m, strings.TrimSpace(string(machine)))
			}
		}
		if s.Type == "lvm" && st.Shared {
			st.Group = s.Options["vgname"]
			st.Behind = groupUUID(g.src.Root, s.Options["vgname"])
		}
		out = append(out, st)
	}
	dataDir := g.src.Config.DataDir
	return func(f *doctor.Facts) {
		f.Storages = out
		if f.Disk == nil {
			f.Disk = &doctor.Disk{Path: dataDir}
		}
		for _, s := range out {
			if s.Shared && s.Path != "" && (dataDir == s.Path || strings.HasPrefix(dataDir, s.Path+"/")) {
				f.Disk.Shared = s.Name
			}
		}
	}, nil
}

// marks has the marks on the storages read, by processes of their own: what hangs is left alone.
func (g *Gatherer) marks(ctx context.Context) (func(*doctor.Facts), error) {
	ctx, cancel := context.WithTimeout(ctx, markLimit)
	defer cancel()
	m := g.src.Marks(ctx)
	return func(f *doctor.Facts) { f.Marks = m }, nil
}

// markLimit is what a storage's marks may take, less than the probe's own time.
const markLimit = 5 * time.Second

// behind names what is mounted so that it is equal on two nodes only where it is one and the same: the source of a network file system, else
// the file system's own UUID, else this machine.
func behind(m mount, machine string) string {
	if strings.Contains(m.source, ":") || strings.HasPrefix(m.source, "//") {
		return m.kind + " " + m.source
	}
	if uuid := uuidOf(m); uuid != "" {
		return m.kind + " " + uuid
	}
	return m.kind + " " + m.source + " of machine " + machine
}

// uuidOf finds the UUID of a mounted disk's file system as udev has it.
func uuidOf(m mount) string {
	const dir = "/dev/disk/by-uuid"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ""
	}
	for _, e := range entries {
		var st unix.Stat_t
		if unix.Stat(filepath.Join(dir, e.Name()), &st) == nil && fmt.Sprintf("%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev)) == m.device {
			return e.Name()
		}
	}
	return ""
}

// groupUUID finds a volume group's UUID among the logical volumes that are active here, as the kernel names them: "LVM-", 32 characters of the
// group's UUID, 32 of the volume's. "" while none is active.
func groupUUID(root, group string) string {
	names, _ := filepath.Glob(filepath.Join(root, "/sys/block/dm-*/dm/name"))
	for _, file := range names {
		if of, uuid, ok := volume(file); ok && of == group {
			return "volume group " + uuid[:32]
		}
	}
	return ""
}
