package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"bascule/config"
	"bascule/fencing"
	"bascule/fencing/cephblocklist"
	"bascule/fencing/scsipr"
	"bascule/ha/guard"
	"bascule/ha/proxmox"
	"bascule/ha/pve"
	"bascule/ha/setup/doctor"
	"bascule/ha/setup/doctor/gather"
)

const doctorFactsName = "doctor-facts"

// gatherer looks at this node, through the parts of a running daemon or, without one, through driver alone.
func gatherer(cfg *config.Config, h host, driver *proxmox.Driver, dog *guard.Client) gather.Source {
	s := gather.Source{Config: cfg, Root: h.root, HostReserve: hostReserve, Now: wallNow}
	s.Grant = func(device string) string { return grant(cfg.Devices(), device) }
	if cfg.Role == config.RoleWitness {
		return s
	}
	s.Quorum = corosyncVotes()
	s.ReadPVE = openTree(cfg.Proxmox).ReadFile
	s.Reservations = reservable
	if driver != nil {
		s.Token = func(ctx context.Context) (doctor.Token, error) { return askToken(ctx, cfg.Proxmox.TokenID, driver) }
		s.Inventory = driver.Inventory
	}
	if dog != nil {
		s.Guard = func(ctx context.Context) (doctor.Guard, error) { return askGuard(ctx, dog) }
	}
	return s
}

// corosyncVotes asks corosync's own tool; nil where there is none. Its exit status only says whether this node has quorum.
func corosyncVotes() func(context.Context) (doctor.Quorum, error) {
	tool, err := exec.LookPath("corosync-quorumtool")
	if err != nil {
		return nil
	}
	return func(ctx context.Context) (doctor.Quorum, error) {
		cmd := exec.CommandContext(ctx, tool, "-s")
		cmd.WaitDelay = time.Second
		out, runErr := cmd.Output()
		q, err := pve.ParseQuorum(string(out))
		if err != nil {
			return doctor.Quorum{}, errors.Join(err, runErr)
		}
		return doctor.Quorum(q), nil
	}
}

// grant is the command that gives a fencing device's account its rights.
func grant(all []config.Device, name string) string {
	var own map[string]string
	var like []map[string]string
	for _, d := range all {
		if d.Method != cephblocklist.Method.Name {
			continue
		}
		if like = append(like, d.Settings); d.Name == name {
			own = d.Settings
		}
	}
	if own == nil {
		return ""
	}
	text, err := cephblocklist.Grant(own, like)
	if err != nil { // the configuration was checked at the start
		return ""
	}
	return text
}

// reservable asks a LUN whether it knows reservations. Where the unit hides disks (without its drop-in for scsi-pr) it cannot be asked.
func reservable(ctx context.Context, device string) (string, error) {
	err := scsipr.Support(ctx, device)
	if errors.Is(err, fencing.ErrUnsupported) {
		return err.Error(), nil
	}
	return doctor.Reservable, err
}

// askToken turns the driver's complaint about privileges into a fact.
func askToken(ctx context.Context, id string, driver *proxmox.Driver) (doctor.Token, error) {
	t := doctor.Token{ID: id}
	err := driver.CheckPrivileges(ctx)
	var weak *proxmox.WeakTokenError
	switch {
	case errors.As(err, &weak):
		t.Missing = weak.Missing
	case err != nil:
		t.Problem = err.Error()
	}
	return t, nil
}

func askGuard(ctx context.Context, c *guard.Client) (doctor.Guard, error) {
	s, err := c.Status(ctx)
	if err != nil {
		return doctor.Guard{}, err
	}
	g := doctor.Guard{Version: s.Version, Phase: string(s.Phase), Armed: s.Armed, Driver: s.Driver, Detail: s.Detail}
	if s.Watchdog != nil {
		g.Identity, g.Timeout = s.Watchdog.Identity, s.Watchdog.Timeout
	}
	return g, nil
}

// Doctor implements api.Backend.
func (b backend) Doctor(ctx context.Context) doctor.Facts { return b.doctor.Facts(ctx) }

// doctorFacts is the hidden subcommand by which hactl doctor --local looks at a node whose basculed does not run.
func doctorFacts(file *string) *cobra.Command {
	return &cobra.Command{Use: doctorFactsName, Hidden: true, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return printFacts(cmd.Context(), cmd.OutOrStdout(), *file)
	}}
}

func printFacts(ctx context.Context, w io.Writer, file string) error {
	cfg, err := config.Load(file)
	if err != nil {
		return err
	}
	h, err := readHost()
	if err != nil {
		return err
	}
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	var driver *proxmox.Driver
	var dog *guard.Client
	if cfg.Role != config.RoleWitness {
		if driver, err = openProxmox(cfg, h, quiet); err != nil {
			return err
		}
		defer driver.Close()
		dog = guard.NewClient(cfg.Guard.Socket)
		defer dog.Close()
	}
	ctx, cancel := context.WithTimeout(ctx, gather.Limit)
	defer cancel()
	if err := json.NewEncoder(w).Encode(gather.New(gatherer(cfg, h, driver, dog)).Facts(ctx)); err != nil {
		return fmt.Errorf("the facts cannot be written: %w", err)
	}
	return nil
}
