package lab

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// restartDelay is systemd's RestartSec of Bascule's units.
const restartDelay = time.Second

// life is one boot of a node: the programs that the world keeps running on it until the power goes.
type life struct {
	node   *node
	ctx    context.Context
	cancel context.CancelFunc

	mu   sync.Mutex // held while a process is being started, so that none starts after end
	over bool
	pids map[string]int // role → pid of the running process
}

// startLife starts a node's programs in their order.
func startLife(n *node) *life {
	l := &life{node: n, pids: map[string]int{}}
	l.ctx, l.cancel = context.WithCancel(n.world.ctx)
	for _, p := range n.world.opt.programs(n.name) {
		cmd, err := l.start(p)
		n.world.wg.Go(func() { l.keep(p, cmd, err) })
	}
	return l
}

// end kills the programs with everything in their sessions, and stops the restarting. When it returns, no process is started any more.
func (l *life) end() {
	l.cancel()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	// The programs themselves die first, microseconds after the cut; a look at all processes takes milliseconds. Those in the map
	// are not reaped, so the numbers are theirs.
	for _, pid := range l.pids {
		_ = syscall.Kill(pid, syscall.SIGKILL) // fails only on a zombie
	}
	l.node.killKnown()
	_ = killNode(l.node.dir, slices.Collect(maps.Values(l.pids))...) // node.kill looks again and reports what is left
}

// keep waits for the program and starts it again after each end, until the life is over.
func (l *life) keep(p Program, cmd *exec.Cmd, err error) {
	for {
		switch {
		case cmd == nil && err == nil:
			return // over
		case err != nil:
			l.node.world.events.add(EventStartFailed, l.node.name, fmt.Sprintf("%s: %v", p.Role, err))
		default:
			l.await(p, cmd)
		}
		if !pause(l.ctx, restartDelay) {
			return
		}
		cmd, err = l.start(p)
	}
}

// await waits for the process's end without taking its number away before the map is corrected.
func (l *life) await(p Program, cmd *exec.Cmd) {
	waitUntilZombie(cmd.Process.Pid)
	// What a unit leaves behind, systemd ends with it.
	if err := killSession(l.node.dir, cmd.Process.Pid); err != nil {
		l.node.world.events.add(EventNotDead, l.node.name, err.Error())
	}
	l.mu.Lock()
	delete(l.pids, p.Role)
	over := l.over
	l.mu.Unlock()
	_ = cmd.Wait() // its status is in ProcessState
	if !over {
		l.node.world.events.add(EventExited, l.node.name, fmt.Sprintf("%s: %s; starting it again in %s", p.Role, cmd.ProcessState, restartDelay))
	}
}

// start runs a program with the node's mark and its own log. It returns nothing when the life is over.
func (l *life) start(p Program) (*exec.Cmd, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return nil, nil
	}
	layout := l.node.world.layout
	log, err := os.OpenFile(layout.Node(l.node.name, "log", p.Role+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("its log cannot be opened: %w", err)
	}
	defer log.Close()
	argv := make([]string, len(p.Argv))
	for i, arg := range p.Argv {
		argv[i] = strings.ReplaceAll(arg, "{config}", layout.Node(l.node.name, "basculed.yaml"))
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = l.node.dir
	cmd.Env = append(withoutMark(os.Environ()), MarkVariable+"="+l.node.dir)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, err // names the program
	}
	l.pids[p.Role] = cmd.Process.Pid
	l.node.world.events.add(EventStarted, l.node.name, fmt.Sprintf("%s: pid %d", p.Role, cmd.Process.Pid))
	return cmd, nil
}

// pid is the number of the running process in a role, or 0.
func (l *life) pid(role string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pids[role]
}

// withoutMark is an environment without anything that belongs to a lab.
func withoutMark(environ []string) []string {
	var out []string
	for _, e := range environ {
		if !strings.HasPrefix(e, "BASCULE_LAB_") {
			out = append(out, e)
		}
	}
	return out
}
