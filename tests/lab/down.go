package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// downGrace is how long a world may take to end in order.
const downGrace = 15 * time.Second

// Down takes the lab down: the world ends everything it started, and what is left by accident is killed by its mark. It verifies that
// nothing of the lab runs any more and removes the directory, unless keep is set.
func (l *Lab) Down(ctx context.Context, keep bool) error {
	if err := l.End(ctx); err != nil {
		return err
	}
	if keep {
		return nil
	}
	if err := os.RemoveAll(l.Dir); err != nil {
		return fmt.Errorf("the lab is down, but its directory cannot be removed: %w", err)
	}
	return nil
}

// End is Down with keep.
func (l *Lab) End(ctx context.Context) error { return downDir(ctx, l.Dir) }

// Clean takes down whatever is left of a lab in a directory, whether its world answers or not.
func Clean(ctx context.Context, dir string, keep bool) error {
	l, err := attach(dir)
	if err != nil {
		return err
	}
	return l.Down(ctx, keep)
}

func downDir(ctx context.Context, dir string) error {
	if pid := worldPid(dir); pid != 0 {
		l, err := attach(dir)
		if err == nil {
			_, err = l.Do(ctx, "down", Command{})
		}
		if err != nil || !awaitEnd(ctx, pid, downGrace) {
			// It does not answer or does not end: it goes as any program that hangs.
			endWorld(dir, pid)
		}
	}
	var errs []error
	for mark := range markedBelow(dir) {
		errs = append(errs, killNode(mark))
	}
	if pid := worldPid(dir); pid != 0 {
		errs = append(errs, fmt.Errorf("the lab's world (process %d) cannot be ended", pid))
	}
	return errors.Join(errs...)
}

// endWorld kills a world that does not end by itself.
func endWorld(dir string, pid int) {
	killIf(pid, func() bool { return worldPid(dir) == pid })
	awaitEnd(context.Background(), pid, killLimit)
}

// awaitEnd waits until a process is gone; a zombie counts as gone.
func awaitEnd(ctx context.Context, pid int, limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for alive(pid) {
		if !pause(ctx, 10*time.Millisecond) {
			return false
		}
	}
	return true
}

// worldPid finds the world of a lab directory by its command line, `… world --dir DIR`. 0: none runs.
func worldPid(dir string) int {
	for _, pid := range pids() {
		argv := argvOf(pid)
		if len(argv) >= 4 && slices.Equal(argv[1:4], []string{"world", "--dir", dir}) && alive(pid) {
			return pid
		}
	}
	return 0
}

// argvOf is a process's command line.
func argvOf(pid int) []string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimRight(string(data), "\x00"), "\x00")
}
