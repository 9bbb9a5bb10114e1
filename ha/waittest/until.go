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

func seen(last []any) string {
	var b strings.Builder
	for _, p := range last {
		fmt.Fprintf(&b, "; last seen: %+v", reflect.ValueOf(p).Elem())
	}
	return b.String()
}
