//go:build lab

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"bascule/config"
	"bascule/ha"
	"bascule/ha/proxmox"
)

// labNodeDir names the directory of the lab node that this process belongs to; the same variable marks its processes.
const labNodeDir = "BASCULE_LAB_NODE_DIR"

// readHost takes the identity from halab: all nodes of a lab share one kernel and one board.
func readHost() (host, error) {
	dir := os.Getenv(labNodeDir)
	if dir == "" {
		return host{}, errors.New("this is a lab build of basculed: it runs only below halab (" + labNodeDir + " is not set)")
	}
	boot, err := os.ReadFile(filepath.Join(dir, "boot_id"))
	if err != nil {
		return host{}, fmt.Errorf("lab node without a boot id: %w", err)
	}
	uuid, err := os.ReadFile(filepath.Join(dir, "system_uuid"))
	if err != nil {
		return host{}, fmt.Errorf("lab node without a system UUID: %w", err)
	}
	mark := []byte(labNodeDir + "=" + dir)
	own := func(pid int) bool {
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err != nil {
			return false
		}
		for _, v := range bytes.Split(env, []byte{0}) {
			if bytes.Equal(v, mark) {
				return true
			}
		}
		return false
	}
	return host{incarnation: ha.Incarnation(strings.TrimSpace(string(boot))), systemUUID: strings.TrimSpace(string(uuid)),
		root: filepath.Join(dir, "root"), own: own}, nil
}

// openTree reaches the lab's one pmxcfs through this node's socket.
func openTree(config.Proxmox) proxmox.Tree {
	return labTree{socket: filepath.Join(os.Getenv(labNodeDir), "pmxcfs.sock")}
}
