package fencingtest

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// ProcessState returns a process's state letter as ps shows it, 0 if it is no more.
func ProcessState(pid int) byte {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	return strings.TrimLeft(string(b[strings.LastIndexByte(string(b), ')')+1:]), " ")[0]
}

// Ended says whether a process has ended; a zombie that its parent has yet to collect has.
func Ended(pid int) bool {
	state := ProcessState(pid)
	return state == 0 || state == 'Z'
}

// Within is a context that ends after d, or with the test.
func Within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}
