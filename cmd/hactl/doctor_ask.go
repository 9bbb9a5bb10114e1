package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"bascule/ha"
	"bascule/ha/api"
	"bascule/ha/setup/doctor"
)

// fencingBudget is how long hactl doctor has devices read, one node after the other; who did not get his turn stays unasked.
const fencingBudget = 60 * time.Second

// gather asks every member, or looks at this machine alone.
func (h *hactl) gather(ctx context.Context, f *doctorFlags) (doctor.Cluster, error) {
	if f.local {
		return h.gatherLocal(ctx, f.config)
	}
	c, err := h.client()
	if err != nil {
		return doctor.Cluster{}, err
	}
	defer c.Close()
	own, status, reading, err := h.askMember(ctx, c)
	if err != nil {
		return doctor.Cluster{}, err
	}
	if own.Config == nil {
		return doctor.Cluster{}, fmt.Errorf("%s tells no members: compare hactl version with the daemon's", own.Node)
	}
	r := &round{h: h, own: own.Node, clients: map[ha.NodeName]*api.Client{own.Node: c}, statuses: map[ha.NodeName]api.Status{}, cluster: doctor.Cluster{Members: own.Config.Members,
		Facts: map[ha.NodeName]doctor.Facts{}, Silent: map[ha.NodeName]string{}, Clocks: map[ha.NodeName]doctor.Reading{}, States: map[ha.NodeName]ha.NodeState{}}}
	r.note(own.Node, own, status, reading, nil)
	r.others(ctx, own.Config)
	defer r.close()
	r.takeStatuses()
	if !f.noFencing {
		r.fencing(ctx, status.Leader)
	}
	return r.cluster, ctx.Err()
}

// askMember has one member look at itself, and reads its clock.
func (h *hactl) askMember(ctx context.Context, c *api.Client) (doctor.Facts, api.Status, doctor.Reading, error) {
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	facts, err := c.Doctor(ctx)
	if err != nil {
		return facts, api.Status{}, doctor.Reading{}, err
	}
	var status api.Status
	best := doctor.Reading{Error: time.Hour}
	for range 3 { // the first may open a connection
		asked := time.Now()
		if status, err = c.Status(ctx); err != nil {
			return facts, status, best, err
		}
		trip := time.Since(asked)
		if trip/2 < best.Error {
			best = doctor.Reading{Offset: status.At.Sub(asked.Add(trip / 2)), Error: trip / 2}
		}
	}
	return facts, status, best, nil
}

// round is one asking of all members.
type round struct {
	h        *hactl
	own      ha.NodeName // who was asked first
	mu       sync.Mutex
	cluster  doctor.Cluster
	clients  map[ha.NodeName]*api.Client
	statuses map[ha.NodeName]api.Status
}

func (r *round) note(n ha.NodeName, f doctor.Facts, s api.Status, clock doctor.Reading, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.cluster.Silent[n] = err.Error()
		return
	}
	r.cluster.Facts[n], r.cluster.Clocks[n], r.statuses[n] = f, clock, s
}

// others asks all other members at the same time.
func (r *round) others(ctx context.Context, c *doctor.Config) {
	ca, cert, key := r.h.ca, r.h.cert, r.h.key
	if r.h.node == "" && !r.h.tlsChosen { // the daemon of this machine says which certificate is this machine's
		ca, cert, key = c.CAFile, c.CertFile, c.KeyFile
	}
	var wg sync.WaitGroup
	for _, m := range c.Members {
		if m.Name == r.own {
			continue
		}
		client, err := api.NewTLSClient(net.JoinHostPort(m.Address, strconv.Itoa(c.APIPort)), ca, cert, key)
		if err != nil {
			r.note(m.Name, doctor.Facts{}, api.Status{}, doctor.Reading{}, err)
			continue
		}
		r.clients[m.Name] = client
		wg.Go(func() {
			f, s, clock, err := r.h.askMember(ctx, client)
			if err == nil && f.Node != m.Name {
				err = fmt.Errorf("the basculed at %s says that it is %s: correct members in basculed.yaml", m.Address, f.Node)
			}
			r.note(m.Name, f, s, clock, err)
		})
	}
	wg.Wait()
}

func (r *round) close() {
	for n, c := range r.clients {
		if n != r.own {
			c.Close()
		}
	}
}

// takeStatuses takes nodes and guests from the first status that knows them, and every problem once.
func (r *round) takeStatuses() {
	order := []ha.NodeName{r.own}
	for _, m := range r.cluster.Members {
		if m.Name != r.own {
			order = append(order, m.Name)
		}
	}
	known := false
	told := map[string]ha.NodeName{} // kind and subject of a problem → whose words are taken
	for _, n := range order {
		s, ok := r.statuses[n]
		if !ok {
			continue
		}
		if !known && s.Health != api.HealthUnknown {
			known = true
			r.takeState(s)
		}
		for _, p := range s.Problems {
			what := p.ID + " " + p.Subject
			if by, ok := told[what]; ok && by != n {
				continue
			}
			told[what] = n
			r.cluster.Problems = append(r.cluster.Problems, doctor.Problem{ID: p.ID, Severity: doctor.Severity(p.Severity), Subject: p.Subject, What: p.What, Why: p.Why, Do: p.Do})
		}
	}
}

func (r *round) takeState(s api.Status) {
	for _, n := range s.Nodes {
		r.cluster.States[n.Name] = n.State
	}
	for _, g := range s.Guests {
		r.cluster.Guests = append(r.cluster.Guests, doctor.Guest{ID: g.VMID, Kind: g.Kind, Name: g.Name, State: g.State, Node: g.Node, Requested: g.Requested, Pinned: g.Pinned, Memory: g.Memory})
	}
}

// fencing has the devices read from each node that may have to use them, one node after the other: a device has few sessions. The leader
// comes first.
func (r *round) fencing(ctx context.Context, leader ha.NodeName) {
	ctx, cancel := context.WithTimeout(ctx, fencingBudget)
	defer cancel()
	members := slices.Clone(r.cluster.Members)
	slices.SortStableFunc(members, func(a, b ha.Member) int {
		switch leader {
		case a.Name:
			return -1
		case b.Name:
			return 1
		}
		return 0
	})
	for _, m := range members {
		if _, answered := r.cluster.Facts[m.Name]; !answered || m.Witness {
			continue
		}
		one, end := context.WithTimeout(ctx, api.FenceTestLimit+5*time.Second)
		t, err := r.clients[m.Name].FenceTest(one, "")
		end()
		if err == nil {
			r.cluster.Fencing = append(r.cluster.Fencing, fenceTestOf(t))
		}
	}
}

// fenceTestOf puts a fence test into the doctor's words.
func fenceTestOf(t api.FenceTest) doctor.FenceTest {
	out := doctor.FenceTest{By: t.Node}
	for _, n := range t.Nodes {
		x := doctor.FenceNode{Node: n.Node, State: n.State, Provable: n.Provable, Busy: n.Busy(), Armed: n.SelfFence.Armed, Verdict: n.Verdict}
		for _, level := range n.Levels {
			for _, d := range level {
				if d.Kind != ha.ManualDevice {
					x.Devices = append(x.Devices, doctor.FenceDevice{Name: d.Name, Method: d.Method, Usable: d.Usable, Problem: d.Problem, Fault: d.Fault, Why: d.Why})
				}
			}
		}
		out.Nodes = append(out.Nodes, x)
	}
	return out
}

// gatherLocal has the basculed program, not the daemon, look at this machine.
func (h *hactl) gatherLocal(ctx context.Context, file string) (doctor.Cluster, error) {
	program, err := findBasculed()
	if err != nil {
		return doctor.Cluster{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "doctor-facts", "--config", file)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // it may hang on what it looks at
	cmd.WaitDelay = time.Second
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	// The death signal belongs to the thread that forks: keep it until the child is gone.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Run(); err != nil {
		return doctor.Cluster{}, fmt.Errorf("%s could not look at this machine: %w", program, errors.Join(err, errors.New(strings.TrimSpace(complaint.String()))))
	}
	var f doctor.Facts
	if err := json.Unmarshal(out.Bytes(), &f); err != nil || f.Config == nil {
		return doctor.Cluster{}, fmt.Errorf("the facts of %s are not understood (%v): is it of this version?", program, err)
	}
	return doctor.Cluster{Members: f.Config.Members, Local: true, Facts: map[ha.NodeName]doctor.Facts{f.Node: f}}, nil
}

// findBasculed finds the daemon's program: beside this one, else in the path.
func findBasculed() (string, error) {
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), "basculed")
		if _, err := os.Stat(beside); err == nil {
			return beside, nil
		}
	}
	found, err := exec.LookPath("basculed")
	if err != nil {
		return "", fmt.Errorf("the program basculed is neither beside hactl nor in the path: %w", err)
	}
	return found, nil
}
