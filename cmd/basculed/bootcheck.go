package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"bascule/config"
	"bascule/ha/proxmox"
)

// errOnboot means that Proxmox would start protected guests by itself.
var errOnboot = errors.New("protected guests have onboot: 1")

// bootCheck is run before pve-guests.service and fails closed: a protected guest that Proxmox starts at boot could run while
// another node has already recovered it (R2). It looks only at /etc/pve, because the API may not be up yet.
func bootCheck(ctx context.Context, w io.Writer, file string) error {
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return nil // not set up: nothing is protected
	}
	cfg, err := config.Load(file)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	guilty, err := proxmox.OnbootGuests(ctx, openTree(cfg.Proxmox), cfg.Node, cfg.Protect.Choice())
	if err != nil {
		return fmt.Errorf("cannot tell which protected guests Proxmox would start at boot, so it may start none: %w", err)
	}
	if len(guilty) == 0 {
		return nil
	}
	var names []string
	for _, g := range guilty {
		names = append(names, g.Kind.Label(g.ID))
	}
	fmt.Fprintf(w, "%s: Bascule starts these; set onboot to 0 for each (in Options, \"Start at boot\": No), or take their protection away\n", strings.Join(names, ", "))
	return fmt.Errorf("%w: %s", errOnboot, strings.Join(names, ", "))
}
