//go:build !lab

package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"bascule/config"
	"bascule/ha"
	"bascule/ha/agent"
	"bascule/ha/proxmox"
	"bascule/ha/storage"
)

// readHost learns who this machine is. Release builds take the kernel's word only.
func readHost() (host, error) {
	boot, err := readLine("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return host{}, fmt.Errorf("the kernel's boot id cannot be read, and without it no proof about this boot can be made: %w", err)
	}
	uuid, _ := readLine("/sys/class/dmi/id/product_uuid") // absent on some boards: fencing devices then need an operator's test
	return host{incarnation: ha.Incarnation(boot), systemUUID: strings.ToLower(uuid)}, nil
}

func readLine(name string) (string, error) {
	b, err := os.ReadFile(name)
	return strings.TrimSpace(string(b)), err
}

// openTree is the pmxcfs tree of this node.
func openTree(c config.Proxmox) proxmox.Tree { return proxmox.OSTree(c.Root) }

// wallNow is what this machine's clock says.
func wallNow() time.Time { return time.Now() }

// newStorages looks at this node's storages.
func newStorages(l *storage.Looker, _ host) agent.Storages { return l }
