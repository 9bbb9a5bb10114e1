package guard

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"bascule/ha"
	"bascule/ha/node"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"
)

// Config is everything that a guard needs.
type Config struct {
	Socket      string             // unix socket for the agent, made with mode 0600
	StateFile   string             // in the run directory, which a boot empties; StateFile.deadline and StateFile.lock lie beside it
	Timing      ha.Timing          // the same that the agent runs with and publishes
	Incarnation ha.Incarnation     // this boot; empty: permits say it. A state file of another boot counts for nothing
	Watchdog    Watchdog           // see NewWatchdog
	Processes   Processes          // see ProcFS
	Slots       []Slot             // this node's own slots on shared disks; none: messages do not reach it
	Ender       Ender              // nil: SysRq
	Now         func() ha.Instant  // nil: Boottime
	Log         logrus.FieldLogger // nil: logrus's standard one; written to by a goroutine of its own
	Version     string             // of the program, for the status
	RealTime    bool               // lock memory, real-time scheduling, calm collector: true but in tests
}

func (c *Config) check() error {
	switch {
	case c.Socket == "" || c.StateFile == "":
		return errors.New("guard: Socket and StateFile must be set")
	case len(c.Socket) > 106:
		return fmt.Errorf("guard: socket path %s has %d bytes, the kernel takes 107 less one: choose a shorter directory", c.Socket, len(c.Socket))
	case c.Watchdog == nil || c.Processes == nil:
		return errors.New("guard: Watchdog and Processes must be set")
	case c.Timing.WatchdogFeed <= 0 || c.Timing.WatchdogTimeout < 2*c.Timing.WatchdogFeed || c.Timing.KillTime <= 0:
		return fmt.Errorf("guard: %w: watchdog_feed %v, watchdog_timeout %v, kill_time %v", ha.ErrTiming, c.Timing.WatchdogFeed, c.Timing.WatchdogTimeout, c.Timing.KillTime)
	}
	for i, name := range slotNames(c.Slots) {
		if slices.Contains(slotNames(c.Slots[:i]), name) {
			return fmt.Errorf("guard: two slots of device %s", name)
		}
	}
	if c.Ender == nil {
		c.Ender = SysRq{}
	}
	if c.Now == nil {
		c.Now = Boottime
	}
	if c.Log == nil {
		c.Log = logrus.StandardLogger()
	}
	return nil
}

// maxSleep bounds the machine's sleep: Go's timers do not count suspend, the permit's clock does. After a resume the
// guard is at most this late.
const maxSleep = 250 * time.Millisecond

// endWait is how long Run waits at its end for goroutines that may hang in a device or in /proc.
const endWait = time.Second

// Run is the guard until ctx ends; it then leaves the watchdog armed if it was, and returns nil. It returns an error if it
// cannot start: another guard runs, or the socket cannot be made.
func Run(ctx context.Context, cfg Config) error {
	if err := cfg.check(); err != nil {
		return err
	}
	unlock, err := lockOnce(cfg.StateFile + ".lock")
	if err != nil {
		return err
	}
	defer unlock()
	log := newLogq(cfg.Log)
	if cfg.RealTime {
		realTime(log)
	}
	saved, err := loadState(cfg.StateFile)
	if err != nil {
		log.add(logrus.ErrorLevel, err.Error())
	}
	ln, err := listen(cfg.Socket)
	if err != nil {
		log.close()
		return err
	}
	newLoop(cfg, log, saved).runAll(ctx, func(ctx context.Context, l *loop) { serve(ctx, ln, l.inbox) })
	return nil
}

func newLoop(cfg Config, log *logq, saved node.GuardSaved) *loop {
	l := &loop{
		cfg: cfg, log: log, inbox: make(chan message), started: time.Now(), pid: os.Getpid(),
		s: node.NewGuard(cfg.Timing, cfg.Incarnation, saved, slotNames(cfg.Slots)...),
	}
	l.watch, l.hunt, l.keep = newWatch(l), newHunt(l), newKeeper(cfg.StateFile, saved)
	log.add(logrus.InfoLevel, fmt.Sprintf("guard: started in phase %s with %d guests, watchdog %q, W %v", l.s.Phase, len(l.s.Guests), cfg.Watchdog.Driver(), cfg.Timing.Through(cfg.Watchdog.Driver()).SelfFence()))
	return l
}

// runAll runs the machine here and its helpers and the server beside it until ctx ends.
func (l *loop) runAll(ctx context.Context, server func(context.Context, *loop)) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, work := range []func(context.Context){l.watch.run, l.hunt.run, l.keep.run} {
		l.others.Go(func() { work(ctx) })
	}
	for _, s := range l.cfg.Slots {
		fresh := !known(l.s, s.Device())
		l.others.Go(func() { l.watchSlot(ctx, s, fresh) })
	}
	l.others.Go(func() { server(ctx, l) })
	l.run(ctx)
	cancel()
	ended := make(chan struct{})
	go func() { l.others.Wait(); l.log.close(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(endWait):
	}
}

// lockOnce makes sure that one guard runs on these files: two would fight over watchdog and socket.
func lockOnce(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("guard: %w: does the run directory exist?", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close() // nothing was written
		return nil, fmt.Errorf("guard: %s is held (%w): another guard runs on this node, stop that one first", path, err)
	}
	return func() { _ = f.Close() }, nil
}
