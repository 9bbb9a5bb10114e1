package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"time"

	"bascule/config"
	"bascule/ha/api"
	"bascule/ha/guard"
)

// stopCheck says whether what runs here may be stopped now without a guest or the node noticing: basculed, or with ofGuard its guard. nil: yes.
// The package asks before an upgrade and a removal.
func stopCheck(ctx context.Context, file string, ofGuard bool) error {
	at, err := config.LoadPlaces(file)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if ofGuard {
		return guardStopCheck(ctx, at.GuardSocket)
	}
	c := api.NewClient(at.APISocket)
	defer c.Close()
	s, err := c.Status(ctx)
	if err != nil {
		return err
	}
	if why := whyNotStop(s); why != "" {
		return errors.New(why)
	}
	return nil
}

// whyNotStop is empty when basculed can leave in order: the store takes its word that it leaves, and stands without it.
func whyNotStop(s api.Status) string {
	if !s.Etcd.Available {
		return fmt.Sprintf("the store does not answer (%s), so %s cannot say that it leaves, and its guard would end the guests here", s.Etcd.Reason, s.Node)
	}
	if s.Etcd.External || len(s.Etcd.Voters) <= 1 {
		return ""
	}
	voter, others := false, 0
	for _, v := range s.Etcd.Voters {
		voter = voter || v == string(s.Node)
	}
	for _, v := range s.Etcd.Answering {
		if v != string(s.Node) {
			others++
		}
	}
	if need := len(s.Etcd.Voters)/2 + 1; voter && others < need {
		return fmt.Sprintf("without this voter the store would stop: of the %d voters %s answer, and %d must without this one; %s",
			len(s.Etcd.Voters), strings.Join(s.Etcd.Answering, ", "), need, whatFirst(s.Etcd))
	}
	return ""
}

// whatFirst says how a voter becomes one that the store can be without.
func whatFirst(e api.Etcd) string {
	silent := slices.DeleteFunc(slices.Clone(e.Voters), func(v string) bool { return slices.Contains(e.Answering, v) })
	if len(silent) > 0 {
		return fmt.Sprintf("bring %s back first (power, network, systemctl status basculed)", strings.Join(silent, ", "))
	}
	return "two voters bear the loss of none: give the store a third one first, on a node more or on a small machine (hactl init --witness HOST)"
}

// guardStopCheck asks the guard. One that does not run may be stopped; one that runs and does not answer, or is too old to say, may not.
func guardStopCheck(ctx context.Context, socket string) error {
	c, st, err := guard.Dial(ctx, socket)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if st.Free {
		return nil
	}
	detail := ""
	if st.Detail != "" {
		detail = "; " + st.Detail
	}
	return fmt.Errorf("it is %s with %d guests, watchdog armed: %t, and its end could be theirs or the node's; basculed stopped in order disarms it%s",
		st.Phase, len(st.Guests), st.Armed, detail)
}
