package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// Up builds a lab and returns when it is Ready. If something does not come up it takes everything down again and its error has the tail of
// the log that tells why; the directory stays, to be looked at. A directory of an earlier lab that is down is replaced.
func Up(ctx context.Context, o Options) (*Lab, error) {
	l, err := Begin(ctx, o)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, l.Options.StartTimeout)
	defer cancel()
	if err := l.awaitReady(ctx, o.Progress); err != nil {
		return nil, errors.Join(l.explain(err), l.End(context.WithoutCancel(ctx)))
	}
	return l, nil
}

// Begin is Up without waiting for the nodes' software: it returns when the world has switched them on.
func Begin(ctx context.Context, o Options) (*Lab, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := clearDir(o.Dir); err != nil {
		return nil, err
	}
	if err := o.save(); err != nil {
		return nil, err
	}
	if err := startWorld(o); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, o.StartTimeout)
	defer cancel()
	if err := awaitWorld(ctx, o); err != nil {
		down := downDir(context.WithoutCancel(ctx), o.Dir)
		return nil, errors.Join(fmt.Errorf("the lab did not start: %w\n%s", err, tail(o.layout().worldLog(), 15)), down)
	}
	return attach(o.Dir)
}

// clearDir makes an empty directory, or empties that of an earlier lab. It refuses one that holds anything else.
func clearDir(dir string) error {
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		if _, err := loadOptions(dir); err != nil {
			return fmt.Errorf("%s is not empty and is no lab: choose another directory with --dir", dir)
		}
		if pid := worldPid(dir); pid != 0 {
			return fmt.Errorf("a lab is up in %s (its world is process %d): take it down with `halab down --dir %s`", dir, pid, dir)
		}
		if err := downDir(context.Background(), dir); err != nil {
			return err
		}
		if err := emptyDir(dir); err != nil {
			return fmt.Errorf("the old lab in %s cannot be removed: %w", dir, err)
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("the lab directory cannot be made: %w", err)
	}
	return nil
}

// startWorld starts the world in a session of its own, so that it outlives this program and its terminal.
func startWorld(o Options) error {
	log, err := os.OpenFile(o.layout().worldLog(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("the world's log cannot be opened: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(o.Executable, "world", "--dir", o.Dir)
	cmd.Env = withoutMark(os.Environ())
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("the world cannot be started: %w", err)
	}
	go func() { _ = cmd.Wait() }() // reaps it if it ends before this program; how it ended is in its log
	return nil
}

// awaitWorld follows the event log until the world is ready or has failed.
func awaitWorld(ctx context.Context, o Options) error {
	var offset int64
	for {
		events, next, err := readEvents(o.layout().events(), offset)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		offset = next
		for _, e := range events {
			switch e.Kind {
			case EventProgress:
				o.Progress(e.Detail)
			case EventReady:
				return nil
			case EventFailed:
				return errors.New(e.Detail)
			}
		}
		if !pause(ctx, pollEvery/2) {
			return fmt.Errorf("the world says nothing: %w", ctx.Err())
		}
	}
}

// crashLimit is how often one program of a node may end before the start is given up.
const crashLimit = 5

// awaitReady waits for Ready and gives up early when a program keeps crashing.
func (l *Lab) awaitReady(ctx context.Context, progress func(string)) error {
	for last := ""; ; {
		if err := l.crashing(); err != nil {
			return err
		}
		err := l.Ready(ctx)
		if err == nil {
			return nil
		}
		if err.Error() != last && ctx.Err() == nil {
			last = err.Error()
			if progress != nil {
				progress("waiting: " + last)
			}
		}
		if !pause(ctx, pollEvery) {
			return fmt.Errorf("the lab is not ready within %s: %s", l.Options.StartTimeout, last)
		}
	}
}

// crashing says which program has ended too often.
func (l *Lab) crashing() error {
	events, _, err := l.Events(0)
	if err != nil {
		return err
	}
	ends := map[string]int{}
	for _, e := range events {
		if e.Kind != EventExited && e.Kind != EventStartFailed {
			continue
		}
		role, _, _ := strings.Cut(e.Detail, ":")
		ends[e.Node+" "+role]++
		if ends[e.Node+" "+role] >= crashLimit {
			return fmt.Errorf("%s on %s has ended %d times: %s", role, e.Node, crashLimit, e.Detail)
		}
	}
	return nil
}

// explain adds the end of the logs that tell why the lab is not ready: those of the nodes that the error names, or all.
func (l *Lab) explain(err error) error {
	text := err.Error()
	var named, all []string
	for _, name := range l.Machines() {
		for _, p := range l.Options.programs(name) {
			log := l.Node(name, "log", p.Role+".log")
			all = append(all, log)
			if strings.Contains(err.Error(), name) {
				named = append(named, log)
			}
		}
	}
	if len(named) == 0 {
		named = all
	}
	for _, log := range named {
		text += "\n" + tail(log, 12)
	}
	return errors.New(text)
}
