package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"bascule/config"
	"bascule/ha"
	"bascule/ha/agent"
	"bascule/ha/api"
	"bascule/ha/proxmox"
)

// onbootName is the node's own list of guests that Proxmox started at boot, in the data directory.
const onbootName = "onboot.json"

// restoreOnboot puts "start at boot" back for the guests here whose protection took it away, before Bascule is removed. It works from
// this node's own list and /etc/pve alone.
func restoreOnboot(ctx context.Context, w io.Writer, file string) error {
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return nil // not set up: nothing was taken away
	}
	at, err := config.LoadPlaces(file)
	if err != nil || at.Role == config.RoleWitness {
		return err
	}
	list := filepath.Join(at.DataDir, onbootName)
	ids, err := agent.OnbootKept(list)
	if err != nil {
		return fmt.Errorf("%w; give the guests here \"Start at boot: Yes\" by hand where they need it, then remove that file", err)
	}
	if len(ids) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 100*time.Second)
	defer cancel()
	c := api.NewClient(at.APISocket)
	defer c.Close()
	if _, err := c.Version(ctx); !errors.Is(err, api.ErrNoAnswer) {
		return errors.New("basculed runs here and would take \"start at boot\" away again: stop it first (systemctl stop basculed)")
	}
	h, err := readHost()
	if err != nil {
		return err
	}
	guests, failed := proxmox.RestoreOnboot(ctx, openTree(at.Proxmox), at.Node, h.root, ids)
	var done []ha.VMID
	for _, g := range guests {
		fmt.Fprintf(w, "%s: \"start at boot\" is Yes again\n", g.Kind.Label(g.ID))
		done = append(done, g.ID)
	}
	return errors.Join(failed, agent.ForgetOnboot(list, done))
}
