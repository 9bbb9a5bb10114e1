//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"bascule/ha/setup/setuptest"
)

// standinNode names the lab node's directory to pvesh and systemctl.
const standinNode = "BASCULE_STANDIN_NODE"

// setupBorder is the line in a node's configuration below which hactl writes.
const setupBorder = "# ---- below this line: the common part. Change it in /etc/pve/bascule/basculed.yaml, then run on every node: hactl join --update ----"

// standin makes this program pvesh or systemctl, where it is called so.
func standin() {
	var err error
	switch filepath.Base(os.Args[0]) {
	case "pvesh":
		err = standinPvesh(os.Getenv(standinNode), os.Args[1:])
	case "systemctl":
		err = standinSystemctl(os.Getenv(standinNode), os.Args[1:])
	default:
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	os.Exit(0)
}

// standinPvesh answers from a file that all nodes share. A token's secret is the one that the lab's Proxmox knows.
func standinPvesh(node string, argv []string) error {
	dir := filepath.Dir(node)
	secret := func(token string) string {
		_, name, _ := strings.Cut(token, "!")
		data, err := os.ReadFile(filepath.Join(dir, name, "secrets/pve.token"))
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(data))
	}
	file := filepath.Join(dir, "pvesh.json")
	out, err := setuptest.Command(file, file+".lock", secret, argv)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(out)
	return err
}

// standinSystemctl enables a unit by a file that its runner waits for; a stop is a SIGTERM, after which the lab starts the runner again.
func standinSystemctl(node string, argv []string) error {
	unit := argv[len(argv)-1]
	link, pidFile := filepath.Join(node, "root/enabled", unit), filepath.Join(node, "root/run", unit+".pid")
	pid := 0
	if data, err := os.ReadFile(pidFile); err == nil {
		pid, _ = strconv.Atoi(strings.TrimSpace(string(data)))
	}
	_, err := os.Stat(link)
	enabled, alive := err == nil, pid > 0 && syscall.Kill(pid, 0) == nil
	switch argv[0] {
	case "is-enabled", "is-active":
		if !enabled || argv[0] == "is-active" && !alive {
			return errors.New("inactive")
		}
	case "enable":
		return os.WriteFile(link, nil, 0o600)
	case "disable":
		if err := os.Remove(link); err != nil {
			return err
		}
		fallthrough
	case "restart":
		if alive {
			return stopUnit(pid)
		}
	}
	return nil
}

// stopUnit returns, as systemctl does, when the process is gone.
func stopUnit(pid int) error {
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return err
	}
	for range 300 {
		if syscall.Kill(pid, 0) != nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return errors.New("the unit does not stop")
}
