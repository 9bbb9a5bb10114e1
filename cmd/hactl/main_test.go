package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"bascule/ha"
	"bascule/ha/api"
	"bascule/ha/api/apitest"
	"bascule/ha/waittest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestMain also serves a scene to look at by hand: HACTL_SERVE=lying-bmc:/tmp/api.sock ./hactl.test
func TestMain(m *testing.M) {
	if spec := os.Getenv("HACTL_SERVE"); spec != "" {
		os.Exit(serveByHand(spec))
	}
	testscript.Main(m, map[string]func(){"hactl": main})
}

func serveByHand(spec string) int {
	var scene, socket string
	for i := range spec {
		if spec[i] == ':' {
			scene, socket = spec[:i], spec[i+1:]
			break
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := serveScene(ctx, scene, socket); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	<-ctx.Done()
	return 0
}

// serveScene answers on socket with a scene (and a leader that takes drains up) until ctx ends.
func serveScene(ctx context.Context, scene, socket string) error {
	build, ok := apitest.Scenes[scene]
	if !ok {
		return fmt.Errorf("no scene %q", scene)
	}
	f := apitest.NewFake(build())
	f.Append(history()...)
	f.OnSubmit(takeUp)
	f.SetEtcd(
		api.EtcdMember{ID: "1a", Node: "node1", Peer: "10.0.0.1:2380", Started: true, Answers: true, Leader: true, DBSize: 81920},
		api.EtcdMember{ID: "2b", Node: "node2", Peer: "10.0.0.2:2380", Started: true, Problem: "connection refused"},
		api.EtcdMember{ID: "3c", Node: "node3", Peer: "10.0.0.3:2380", Started: true, Answers: true, DBSize: 81920},
		api.EtcdMember{Node: "node7", Peer: "10.0.0.7:2380", Spare: true})
	l, err := api.ListenUnix(socket)
	if err != nil {
		return err
	}
	go func() { _ = api.NewServer(f, nil).Serve(ctx, l) }()
	return nil
}

func history() []api.StoredEvent {
	at := apitest.Now.Add(-time.Minute)
	mk := func(n int, tr ha.Transition) api.StoredEvent {
		when := at.Add(time.Duration(n) * time.Second)
		return api.StoredEvent{Key: fmt.Sprintf("event/%s-%d", when.Format("20060102T150405Z"), n), Event: ha.Event{Transition: tr, At: when, Term: 42, By: "node1"}}
	}
	return []api.StoredEvent{
		mk(1, ha.Transition{Subject: "node node2", Node: "node2", From: "online", To: "suspect", Reason: "gossip lost it"}),
		mk(2, ha.Transition{Subject: "node node2", Node: "node2", From: "suspect", To: "fencing", Reason: "lease expired and gossip lost it; corosync does not list it any more"}),
		mk(3, ha.Transition{Subject: "guest 102", Node: "node2", Guest: 102, From: "started", To: "fence", Reason: "its node node2 is being fenced"}),
	}
}

// takeUp is a leader that carries drains out step by step; each step changes the view once, when what was there before has been seen.
func takeUp(f *apitest.Fake, r ha.Request) {
	if r.Kind != ha.RequestDrain {
		return
	}
	go func() {
		for step := 1; step <= 2; step++ {
			for began, seen := time.Now(), f.Looks(); f.Looks() < seen+2 && time.Since(began) < waittest.Hang; { // the first may have begun before
				time.Sleep(5 * time.Millisecond)
			}
			f.Change(func(v *api.View) { *v = drained(r.Node, step) })
		}
	}()
}

// drained is the healthy cluster at a step of a node's drain. On node2 a container is pinned and stays.
func drained(node ha.NodeName, step int) api.View {
	v := apitest.Well()
	if node == "node2" {
		v = apitest.Draining()
		if step == 2 {
			moveTo(v, 102, "node3")
			moveTo(v, 104, "node3")
		}
		return v
	}
	if step == 2 {
		moveTo(v, 103, "node1")
	}
	apitest.Edit(v.Snapshot.Nodes, node, func(n *ha.NodeRecord) {
		n.State, n.Reason, n.Drain = ha.NodeDraining, "an operator drains it; 1 guests left", true
		if step == 2 {
			n.State, n.Reason = ha.NodeMaintenance, "drained"
		}
	})
	return v
}

func moveTo(v api.View, id ha.VMID, target ha.NodeName) {
	apitest.Edit(v.Snapshot.Guests, id, func(g *ha.GuestRecord) {
		g.State, g.Node, g.Move, g.Reason, g.Since = ha.GuestStarted, target, nil, "runs on "+string(target), v.Wall
	})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("TZ", "UTC")
			env.Setenv("USER", "alice")
			env.Setenv("SUDO_USER", "")
			env.Setenv("TERM", "xterm-256color")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve": func(ts *testscript.TestScript, _ bool, args []string) { // serve SCENE SOCKET
				ctx, cancel := context.WithCancel(context.Background())
				ts.Defer(cancel)
				ts.Check(serveScene(ctx, args[0], ts.MkAbs(args[1])))
			},
			"journal": recordDeath,
			"corrupt": corrupt,
			"exits": func(ts *testscript.TestScript, _ bool, args []string) { // exits CODE hactl …
				if got := fmt.Sprint(exitCode(ts, args[1:])); got != args[0] {
					ts.Fatalf("exit code %s, want %s", got, args[0])
				}
			},
		},
		UpdateScripts: *update,
	})
}

// exitCode runs hactl in the test's own process and stores nothing: for codes only.
func exitCode(ts *testscript.TestScript, args []string) int {
	for i, a := range args {
		if filepath.Ext(a) == ".sock" {
			args[i] = ts.MkAbs(a)
		}
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	ts.Check(err)
	defer null.Close()
	return run(args, null, null, null)
}
