//go:build lab

package sbd

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"bascule/fencing"
)

// openDisk opens a disk, or a regular file with sectors of 512 bytes in its place: a lab runs without root, and only root has disks. All
// nodes of a lab are processes of one machine, so the file needs no O_DIRECT: whoever reads it sees what was written.
func openDisk(path string, exclusive bool) (sectors, error) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return openBlockDevice(path, exclusive)
	}
	if need := int64(1+2*slotCount) * minSector; info.Size() < need {
		return nil, fmt.Errorf("%w: the file has %d bytes, SBD needs %d", fencing.ErrRubbish, info.Size(), need)
	}
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_SYNC, 0)
	if err != nil {
		return nil, ioError(err)
	}
	return &blockDevice{f: f, sector: minSector, buf: make([]byte, (1+2*slotCount)*minSector)}, nil
}

// isDiskPath takes a lab's files as well: those called ….sbd.
func isDiskPath(path string) bool {
	return strings.HasPrefix(path, "/dev/") || filepath.IsAbs(path) && strings.HasSuffix(path, ".sbd")
}
