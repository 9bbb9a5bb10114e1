package gather

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"bascule/ha/setup/doctor"
)

// disk looks where data_dir lies and how much room there is.
func (g *Gatherer) disk(ctx context.Context) (func(*doctor.Facts), error) {
	dir := g.src.Config.DataDir
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return nil, fmt.Errorf("data_dir %s: %w", dir, err)
	}
	m, err := mountOf("/proc/self/mountinfo", dir)
	if err != nil {
		return nil, err
	}
	used, err := below(ctx, dir)
	if err != nil {
		return nil, err
	}
	d := doctor.Disk{Path: dir, Filesystem: m.kind, Mount: m.point, Free: int64(st.Bfree) * st.Bsize, Size: int64(st.Blocks) * st.Bsize, Used: used}
	return func(f *doctor.Facts) {
		if f.Disk != nil { // other probes knew their part first
			d.Syncs, d.Shared = f.Disk.Syncs, f.Disk.Shared
		}
		f.Disk = &d
	}, nil
}

// below sums what lies below a directory.
func below(ctx context.Context, dir string) (int64, error) {
	sum := int64(0)
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // it has just gone
			return nil
		}
		if err != nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			sum += info.Size()
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("summing up %s: %w", dir, err)
	}
	return sum, nil
}

// How the disk's speed is measured: as etcd writes its log, small appended writes, each made durable, for so long and so often at most.
const (
	syncWrite = 2300 // bytes; what etcd's own guide measures disks with
	syncMost  = 100
	syncTime  = 1500 * time.Millisecond
)

// diskSpeed measures how long small durable writes take in data_dir.
func (g *Gatherer) diskSpeed(ctx context.Context) (func(*doctor.Facts), error) {
	syncs, err := measure(ctx, g.src.Config.DataDir, syncMost, syncTime)
	if err != nil {
		return nil, err
	}
	return func(f *doctor.Facts) {
		if f.Disk == nil {
			f.Disk = &doctor.Disk{Path: g.src.Config.DataDir}
		}
		f.Disk.Syncs = syncs
	}, nil
}

// measure writes and syncs at most `most` times, for `during` at most, and gives the times in ascending order.
func measure(ctx context.Context, dir string, most int, during time.Duration) (syncs []time.Duration, err error) {
	file, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		return nil, fmt.Errorf("the disk's speed cannot be measured in %s: %w", dir, err)
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(file.Name())) }()
	block := make([]byte, syncWrite)
	for end := time.Now().Add(during); len(syncs) < most && time.Now().Before(end) && ctx.Err() == nil; {
		began := time.Now()
		if _, err := file.Write(block); err != nil {
			return nil, fmt.Errorf("measuring the disk: %w", err)
		}
		if err := unix.Fdatasync(int(file.Fd())); err != nil {
			return nil, fmt.Errorf("measuring the disk: %s: %w", file.Name(), err)
		}
		syncs = append(syncs, time.Since(began))
	}
	slices.Sort(syncs)
	return syncs, nil
}

// mount is one line of mountinfo.
type mount struct {
	point, kind, source string
	device              string // major:minor
}

// mountOf finds the mount that a path lies on, without touching its file system.
func mountOf(mountinfo, path string) (mount, error) {
	text, err := os.ReadFile(mountinfo)
	if err != nil {
		return mount{}, fmt.Errorf("which file system %s lies on is not known: %w", path, err)
	}
	best := mount{}
	for line := range strings.Lines(string(text)) {
		m, ok := parseMount(line)
		under := path == m.point || m.point == "/" || strings.HasPrefix(path, m.point+"/")
		if ok && under && len(m.point) >= len(best.point) { // of several over each other the last counts
			best = m
		}
	}
	if best.point == "" {
		return best, fmt.Errorf("which file system %s lies on is not known: no mount in %s holds it", path, mountinfo)
	}
	return best, nil
}

// parseMount reads "36 35 98:0 /root /mount options optional… - type source super".
func parseMount(line string) (mount, bool) {
	left, right, ok := strings.Cut(line, " - ")
	l, r := strings.Fields(left), strings.Fields(right)
	if !ok || len(l) < 5 || len(r) < 2 {
		return mount{}, false
	}
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	return mount{point: unescape.Replace(l[4]), device: l[2], kind: r[0], source: unescape.Replace(r[1])}, true
}
