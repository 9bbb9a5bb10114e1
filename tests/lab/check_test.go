package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// story is a guest's file: one word per line, "a3" being the third line of a writer; capital letters are other boots of the same node.
func story(t *testing.T, text string) []Line {
	t.Helper()
	var out []Line
	at := time.Unix(1700000000, 0)
	for word := range strings.FieldsSeq(text) {
		if word == "-" { // a pause
			at = at.Add(5 * time.Second)
			continue
		}
		var counter, generation int64 = 0, 1
		name, rest := word[:1], word[1:]
		if before, after, ok := strings.Cut(rest, "/"); ok {
			rest = before
			fmt.Sscan(after, &generation)
		}
		fmt.Sscan(rest, &counter)
		line, err := ParseLine(fmt.Sprintf("101 node-%s boot-%s %d %d %d", strings.ToLower(name), name, generation, counter, at.UnixNano()))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, line)
		at = at.Add(200 * time.Millisecond)
	}
	return out
}

func TestExamine(t *testing.T) {
	for _, c := range []struct {
		name    string
		story   string
		stints  int
		doubles int
		late    int // lines of earlier writers after later ones began, all pairs
		gaps    int
	}{
		{"nothing", "", 0, 0, 0, 0},
		{"one writer", "a0 a1 a2 a3", 1, 0, 0, 0},
		{"failover", "a0 a1 - b0/2 b1/2", 2, 0, 0, 1},
		{"one late line", "a0 a1 b0/2 a2 b1/2", 2, 1, 1, 0},
		{"both go on", "a0 b0/2 a1 b1/2 a2 b2/2", 2, 1, 2, 0},
		{"two boots of one node", "a0 A0/2 a1", 2, 1, 1, 0},
		{"moved away and back", "a0 a1 b0/2 b1/2 a0/3 a1/3", 3, 0, 0, 0},
		{"back within one generation, a new process", "a0 a1 a2 b0 b1 a0 a1 a2 a3", 3, 0, 0, 0},
		{"back, and the other one goes on", "a0 b0/2 a0/3 b1/2 a1/3", 3, 1, 1, 0},
		{"three at once", "a0 b0/2 c0/3 a1 b1/2", 3, 2, 2, 0},
		{"restart in place", "a0 a1 a2 - a0 a1", 2, 0, 0, 1},
		{"two processes on one node", "a0 a1 a0 a2 a1", 2, 1, 1, 0},
		{"stopped for a while", "a0 a1 - a2 a3", 1, 0, 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Examine(101, story(t, c.story), time.Second)
			late := 0
			for _, d := range r.Doubles {
				late += d.Lines
			}
			if len(r.Stints) != c.stints || len(r.Doubles) != c.doubles || late != c.late || len(r.Gaps) != c.gaps {
				t.Errorf("%d stints, %d doubles with %d late lines, %d gaps: %+v", len(r.Stints), len(r.Doubles), late, len(r.Gaps), r)
			}
		})
	}
}

func TestGuestFiles(t *testing.T) {
	l := &Lab{Layout: Layout{Dir: t.TempDir()}}
	must(t, os.MkdirAll(l.GuestLogs(), 0o755))
	write := func(text string) {
		t.Helper()
		f, err := os.OpenFile(l.GuestLog(101), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		must(t, err)
		_, err = f.WriteString(text)
		must(t, err)
		must(t, f.Close())
	}
	write("101 node1 boot1 3 0 1000\n101 node1 boot1 3 1 2000\nrubbish\n101 node2 boot2 4 0 3000\n101 node2 boot2")
	lines, err := l.GuestLines(101)
	if err != nil || len(lines) != 3 || lines[2].Node != "node2" || lines[2].Generation != 4 {
		t.Fatalf("%+v %v", lines, err)
	}
	line, ok, err := l.FirstLineAfter(101, time.Unix(0, 1500), "node1")
	if err != nil || !ok || line.At.UnixNano() != 3000 {
		t.Errorf("first after on another node: %+v %t %v", line, ok, err)
	}
	if line, ok, _ := l.FirstLineAfter(101, time.Unix(0, 1500), ""); !ok || line.Counter != 1 {
		t.Errorf("first after on any node: %+v", line)
	}
	if _, ok, _ := l.FirstLineAfter(101, time.Unix(0, 9999), ""); ok {
		t.Error("a line from the future")
	}
	follow := l.Follow(101)
	write(" 4 1 4000\n101 node2 boot2 4 2 5000\n")
	got, err := follow.Next()
	if err != nil || len(got) != 1 || got[0].Counter != 2 { // following began in the middle of a line
		t.Errorf("followed %+v %v", got, err)
	}
	if last, ok, err := l.LastLine(101); err != nil || !ok || last.Counter != 2 {
		t.Errorf("last line %+v %v", last, err)
	}
	if _, ok, err := l.LastLine(999); ok || err != nil {
		t.Errorf("a guest that never ran: %t %v", ok, err)
	}
	reports, err := l.Check(time.Time{}, time.Hour)
	if err != nil || len(reports) != 1 || reports[0].Damaged != 1 || len(reports[0].Stints) != 2 {
		t.Errorf("%+v %v", reports, err)
	}
	if reports, err = l.Check(time.Unix(0, 3000), time.Hour); err != nil || len(reports[0].Stints) != 1 {
		t.Errorf("since: %+v %v", reports, err)
	}
	must(t, os.WriteFile(filepath.Join(l.GuestLogs(), "not-a-guest.log"), nil, 0o644))
	if ids, err := l.LoggedGuests(); err != nil || len(ids) != 1 {
		t.Errorf("guests %v %v", ids, err)
	}
	for _, text := range []string{"", "101 node1 boot1 3 0", "x node1 boot1 3 0 1", "101 node1 boot1 3 0 now"} {
		if _, err := ParseLine(text); err == nil {
			t.Errorf("%q was taken for a line", text)
		}
	}
}
