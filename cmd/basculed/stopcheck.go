package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
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
		return fmt.Sprintf("without this voter the store would stop: of the %d voters only %s answer, and %d are needed",
			len(s.Etcd.Voters), strings.Join(s.Etcd.Answering, ", "), need)
	}
	return ""
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
