package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func guestLog(id string) string { return "/var/log/guest-" + id + ".log" }
func pidFile(id string) string  { return "/run/qemu-server/" + id + ".pid" }

// guest is a VM until it is asked to end: a line with its PID and the time, in ms since 1970, every 100 ms.
func guest(args []string) error {
	if len(args) < 2 || args[0] != "-id" {
		return fmt.Errorf("usage: kvm -id VMID")
	}
	id := args[1]
	if err := os.MkdirAll("/run/qemu-server", 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(pidFile(id), fmt.Appendf(nil, "%d\n", os.Getpid()), 0o644); err != nil {
		return err
	}
	log, err := os.OpenFile(guestLog(id), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	tick := time.NewTicker(100 * time.Millisecond)
	for {
		if _, err := fmt.Fprintf(log, "%d %d\n", os.Getpid(), time.Now().UnixMilli()); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-asked:
			return os.Remove(pidFile(id))
		}
	}
}
