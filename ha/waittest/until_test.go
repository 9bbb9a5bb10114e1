package waittest

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// failing keeps what a test would have failed with.
type failing struct {
	testing.TB
	said string
}

func (f *failing) Helper() {}

func (f *failing) Fatalf(format string, args ...any) {
	f.said = fmt.Sprintf(format, args...)
	panic(f)
}

func TestUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		if took := Until(t, time.Minute, "three", func() bool { n++; return n == 3 }); took != 2*pace || n != 3 {
			t.Errorf("%v and %d looks for three", took, n)
		}
		began := time.Now()
		f := &failing{TB: t}
		func() {
			defer func() { recover() }()
			Until(f, time.Minute, "four", func() bool { n++; return false }, &n)
			t.Error("it ended without a failure")
		}()
		if took := time.Since(began); took < time.Minute || took > time.Minute+2*pace {
			t.Errorf("it gave up after %v", took)
		}
		if !strings.Contains(f.said, "1m0s: four") || !strings.HasSuffix(f.said, fmt.Sprint("last seen: ", n)) {
			t.Errorf("said %q", f.said)
		}
	})
}

func TestBestOf(t *testing.T) {
	n := 0
	BestOf(t, func() string {
		if n++; n < 3 {
			return fmt.Sprint("slow ", n)
		}
		return ""
	})
	if n != 3 {
		t.Errorf("%d tries", n)
	}
	f := &failing{TB: t}
	func() {
		defer func() { recover() }()
		n = 0
		BestOf(f, func() string { n++; return fmt.Sprint("wrong ", n) })
		t.Error("it ended without a failure")
	}()
	if n < 3 || !strings.Contains(f.said, "wrong 1; wrong 2") {
		t.Errorf("%d tries, said %q", n, f.said)
	}
}
