package config

import (
	"errors"
	"os"
	"strings"
	"testing"
)

// FuzzParse feeds anything: it never panics, every refusal is an *Error whose problems have a place and a text, and what is accepted
// keeps what the daemon relies on.
func FuzzParse(f *testing.F) {
	for _, dir := range []string{"testdata/bad/", "testdata/good/"} {
		files, err := os.ReadDir(dir)
		if err != nil {
			f.Fatal(err)
		}
		for _, e := range files {
			if strings.HasSuffix(e.Name(), ".yaml") {
				data, err := os.ReadFile(dir + e.Name())
				if err != nil {
					f.Fatal(err)
				}
				f.Add(data)
			}
		}
	}
	f.Add([]byte(Sample()))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, s := parse("fuzz.yaml", data, lab)
		err := asError(s.problems)
		if _, guardErr := parseGuard("fuzz.yaml", data, lab); guardErr != nil && err == nil {
			t.Fatalf("the guard refuses what the daemon takes: %v", guardErr)
		}
		if err != nil {
			checkRefusal(t, err)
			return
		}
		if c.Self().Name != c.Node || (len(c.Voters()) == 0) != c.External() || c.BindAddress == "" {
			t.Fatalf("accepted without a place among the members: %+v", c)
		}
		if err := c.Timing().Check(); err != nil {
			t.Fatalf("accepted with %v", err)
		}
		for _, m := range c.Members {
			for _, level := range c.Levels(m.Name) {
				for _, name := range level {
					if d, ok := c.Device(name); name != Manual && (!ok || d.Node != m.Name || d.Line("") < 1) {
						t.Fatalf("level of %s with device %q: %+v", m.Name, name, d)
					}
				}
			}
		}
	})
}

func checkRefusal(t *testing.T, err error) {
	t.Helper()
	var ce *Error
	if !errors.As(err, &ce) || len(ce.Problems) == 0 {
		t.Fatalf("not an *Error with problems: %v", err)
	}
	for _, p := range ce.Problems {
		if p.Message == "" || p.Path != "" && p.Line < 1 || !strings.HasPrefix(p.String(), "fuzz.yaml:") {
			t.Fatalf("a problem without a place or a text: %+v", p)
		}
	}
}
