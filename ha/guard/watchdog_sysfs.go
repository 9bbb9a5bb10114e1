package guard

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// watchdogSysfs finds out about a watchdog without opening it: opening arms it. Kernels without CONFIG_WATCHDOG_SYSFS say nothing.
type watchdogSysfs struct{ root string } // "" on a real node

// sysWatchdog is what sysfs says of one device; a zero value and known false where it says nothing.
type sysWatchdog struct {
	known    bool
	identity string
	state    string // active, inactive
	nowayout bool
	reset    bool // it ended the last boot
}

// miscWatchdog is the device number of /dev/watchdog, which is another name for watchdog0.
const miscMajor, miscWatchdog = 10, 130

// of returns what is known of the watchdog behind a device file.
func (s watchdogSysfs) of(path string) sysWatchdog {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFCHR {
		return sysWatchdog{}
	}
	major, minor := unix.Major(st.Rdev), unix.Minor(st.Rdev)
	if major == miscMajor && minor == miscWatchdog {
		return s.named("watchdog0")
	}
	link, err := os.Readlink(filepath.Join(s.root, "/sys/dev/char", strconv.Itoa(int(major))+":"+strconv.Itoa(int(minor))))
	if err != nil {
		return sysWatchdog{}
	}
	return s.named(filepath.Base(link))
}

// named returns what is known of watchdogN.
func (s watchdogSysfs) named(name string) sysWatchdog {
	read := func(file string) string {
		b, _ := os.ReadFile(filepath.Join(s.root, "/sys/class/watchdog", name, file)) // empty: not known
		return strings.TrimSpace(string(b))
	}
	w := sysWatchdog{identity: read("identity"), state: read("state"), nowayout: read("nowayout") == "1"}
	w.known = w.identity != ""
	status, err := strconv.ParseUint(read("bootstatus"), 0, 32)
	w.reset = err == nil && status&unix.WDIOF_CARDRESET != 0
	return w
}

// softdogIdentity is how the kernel's software watchdog calls itself; softdog is its module, and its name in records.
const softdogIdentity, softdog = "Software Watchdog", "softdog"

// driverName is a watchdog's name in records, from what it calls itself.
func driverName(identity string) string {
	if identity == softdogIdentity {
		return softdog
	}
	return identity
}
