package sbd

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

	"bascule/fencing"
)

// maxHung is how many servants may hang on one disk at a time on this machine, whoever started them. More would not help
// the disk and fill the process table.
const maxHung = 8

// checkHung refuses to start another servant for a disk on which too many hang. It reads the processes' state lines only: those never wait
// for a process, however stuck it is (its command line may).
func checkHung(path string) error {
	name := processName(path, false)
	hung := 0
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return fmt.Errorf("%w: /proc: %w", fencing.ErrHelper, err)
	}
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err == nil && hangs(stat, name) {
			hung++
		}
	}
	if hung >= maxHung {
		return fmt.Errorf("%w: %d processes wait for this disk in the kernel already; they end when it answers or is removed", fencing.ErrTimeout, hung)
	}
	return nil
}

// hangs reads a line of /proc/PID/stat: "PID (NAME) STATE …"; D is the sleep that no signal ends.
func hangs(stat []byte, name string) bool {
	_, rest, ok := bytes.Cut(stat, []byte(" ("))
	if !ok {
		return false
	}
	return bytes.HasPrefix(rest, []byte(name+") D"))
}
