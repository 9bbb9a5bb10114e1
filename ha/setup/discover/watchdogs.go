package discover

import (
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Watchdog is one watchdog of the kernel.
type Watchdog struct {
	Number   int    // N of /dev/watchdogN
	Path     string // /dev/watchdogN
	Identity string // the driver's words: "iTCO_wdt", "Software Watchdog", "IPMI"; "" where the kernel does not tell
	NoWayOut bool   // nothing disarms it once it is armed
	Timeout  int    // seconds; 0: not told
	Holder   string // name of the process that has it open; "" if none was seen
}

// Software says whether it is softdog, a timer of the very kernel that may hang.
func (w Watchdog) Software() bool { return w.Identity == "Software Watchdog" }

// Watchdogs are a node's watchdogs.
type Watchdogs struct {
	Devices []Watchdog // by number
	Mux     bool       // Proxmox's watchdog-mux is there (its socket is)
	Module  string     // WATCHDOG_MODULE of /etc/default/pve-ha-manager: what the mux loads; "": softdog
}

// First is the device behind watchdog-mux: number 0. false: there is none.
func (w Watchdogs) First() (Watchdog, bool) { return w.Device(0) }

// Device returns a watchdog by number.
func (w Watchdogs) Device(number int) (Watchdog, bool) {
	i := slices.IndexFunc(w.Devices, func(d Watchdog) bool { return d.Number == number })
	if i < 0 {
		return Watchdog{}, false
	}
	return w.Devices[i], true
}

// Free returns the first hardware watchdog that nobody holds and that is not the mux's; false: there is none.
func (w Watchdogs) Free() (Watchdog, bool) {
	i := slices.IndexFunc(w.Devices, func(d Watchdog) bool {
		return d.Holder == "" && d.Identity != "" && !d.Software() && !(w.Mux && d.Number == 0)
	})
	if i < 0 {
		return Watchdog{}, false
	}
	return w.Devices[i], true
}

// ReadWatchdogs looks at /dev, /sys, /proc and /run. It opens no device.
func ReadWatchdogs(tree fs.FS) Watchdogs {
	var w Watchdogs
	holders := watchdogHolders(tree)
	devices, _ := fs.Glob(tree, "dev/watchdog*")              // only a bad pattern is an error
	known, _ := fs.Glob(tree, "sys/class/watchdog/watchdog*") // who runs in a sandbox may see no devices
	for _, name := range append(devices, known...) {
		name = path.Base(name)
		n, err := strconv.Atoi(strings.TrimPrefix(name, "watchdog"))
		if _, twice := w.Device(n); err != nil || twice {
			continue // /dev/watchdog is watchdog0 by its old name
		}
		sys := "sys/class/watchdog/" + name + "/"
		d := Watchdog{Number: n, Path: "/dev/" + name, Identity: readWord(tree, sys+"identity"), NoWayOut: readWord(tree, sys+"nowayout") == "1",
			Timeout: number(readWord(tree, sys+"timeout")), Holder: holders["/dev/"+name]}
		if d.Holder == "" && n == 0 {
			d.Holder = holders["/dev/watchdog"]
		}
		w.Devices = append(w.Devices, d)
	}
	slices.SortFunc(w.Devices, func(a, b Watchdog) int { return a.Number - b.Number })
	if _, err := fs.Stat(tree, "run/watchdog-mux.sock"); err == nil {
		w.Mux = true
	}
	if data, err := fs.ReadFile(tree, "etc/default/pve-ha-manager"); err == nil {
		for line := range strings.Lines(string(data)) {
			if value, ok := strings.CutPrefix(strings.TrimSpace(line), "WATCHDOG_MODULE="); ok {
				w.Module = strings.Trim(value, `"'`)
			}
		}
	}
	return w
}

// watchdogHolders finds who has a watchdog open: device → name of the process. It sees all only as root.
func watchdogHolders(tree fs.FS) map[string]string {
	out := map[string]string{}
	links, ok := tree.(fs.ReadLinkFS)
	if !ok {
		return out
	}
	processes, _ := fs.Glob(tree, "proc/[0-9]*")
	for _, p := range processes {
		open, _ := fs.Glob(tree, p+"/fd/*")
		for _, fd := range open {
			if target, err := links.ReadLink(fd); err == nil && strings.HasPrefix(target, "/dev/watchdog") {
				out[target] = readWord(tree, p+"/comm")
			}
		}
	}
	return out
}

// readWord is the trimmed content of a small file, or "".
func readWord(tree fs.FS, name string) string {
	data, err := fs.ReadFile(tree, name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}
