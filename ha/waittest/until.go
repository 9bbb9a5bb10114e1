// Package waittest waits in tests for what other processes and goroutines do without telling anybody: a test that can be told (by a channel,
// a pipe, the end of a process) waits for that instead. It is imported by tests only.
package waittest

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// Hang is the limit of a wait that measures nothing: what is waited for comes at once on any machine at rest, and on one that has stalled
// for many seconds it comes too. Only a test that would hang for ever ends by it.
const Hang = time.Minute

// pace is the pause between two looks.
const pace = 2 * time.Millisecond

// Until looks until ok says yes. A test in which that does not happen within limit fails with what was waited for and last: pointers to
// what ok saw last. It returns how long it took.
func Until(t testing.TB, limit time.Duration, what string, ok func() bool, last ...any) time.Duration {
	t.Helper()
	began := time.Now()
	for !ok() {
		if time.Since(began) > limit {
			t.Fatalf("not within %v: %s%s", limit, what, seen(last))
		}
		time.Sleep(pace)
	}
	return time.Since(began)
}

// BestOf is for what a machine that stalls may spoil: how long something took, or how often something was repeated meanwhile. It tries
// until one try has no problem, and fails when each of several has one.
func BestOf(t testing.TB, try func() (problem string)) {
	t.Helper()
	const tries = 6
	var problems []string
	for range tries {
		problem := try()
		if problem == "" {
			if len(problems) > 0 {
				t.Logf("after %d tries: %s", len(problems), strings.Join(problems, "; "))
			}
			return
		}
		problems = append(problems, problem)
	}
	t.Fatalf("in each of %d tries: %s", tries, strings.Join(problems, "; "))
}

func seen(last []any) string {
	var b strings.Builder
	for _, p := range last {
		fmt.Fprintf(&b, "; last seen: %+v", reflect.ValueOf(p).Elem())
	}
	return b.String()
}
