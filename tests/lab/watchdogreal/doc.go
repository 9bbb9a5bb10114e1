// Package watchdogreal tries the guard with a watchdog device in hosts that really end: namespaces in which reboot(2) kills
// everything, and a FUSE file that answers linux/watchdog.h, both from the lab's tools (BASCULE_LAB_TOOLS, by default
// ../shared/lab-tools beside the repository).
//
//	go test -count=1 -tags fencingreal ./tests/lab/watchdogreal
//
// It needs root. Nothing in it may call reboot(2) outside a PID namespace of its own: that would end the machine.
package watchdogreal
