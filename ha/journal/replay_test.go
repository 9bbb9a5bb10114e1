package journal_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"bascule/ha"
	"bascule/ha/journal"
	"bascule/ha/journal/journaltest"
	"bascule/ha/leader"
	"bascule/ha/node"
)

// death is the text of journaltest's journal.
func death(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := journaltest.Death(dir); err != nil {
		t.Fatal(err)
	}
	files, err := journal.Files(dir)
	if err != nil || len(files) != 1 {
		t.Fatalf("files %v, %v", files, err)
	}
	f, err := os.Open(files[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	gz, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(gz)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestReplayIsIdentical(t *testing.T) {
	text := death(t)
	rep, err := journal.Replay(strings.NewReader(text))
	if err != nil || rep.Entries < 8 || rep.Identical != rep.Entries || rep.Different != 0 || rep.First != nil {
		t.Fatalf("%+v, %v", rep, err)
	}
	for _, says := range []string{`"to":"fenced"`, `"to":"recovery"`, `"kind":"step"`} {
		if !strings.Contains(text, says) {
			t.Errorf("the journal does not have %s: it tests little", says)
		}
	}
	if rep.Alike == 0 {
		t.Error("no round was left out, though some decided nothing")
	}
}

// One wrong word in one decision is found, and only there.
func TestCorruptedDecisionIsFound(t *testing.T) {
	text := death(t)
	for _, tt := range []struct{ name, in, old, new, field string }{
		{"a reason", "", `"to":"fencing","reason":"`, `"to":"fencing","reason":"not `, "Commits[0].Transitions[1].reason"},
		{"a step's outcome", "", `"Phase":"granting"`, `"Phase":"held"`, "after.Lease.Phase"},
		{"an effect", "", `{"type":"Grant","value":{}}`, `{"type":"Look","value":{}}`, "effects[0].type"},
		{"an input", `"to":"suspect"`, `"node2":{"Known":true,"Alive":false`, `"node2":{"Known":true,"Alive":true`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lines := strings.SplitAfter(text, "\n")
			at := -1
			for i, l := range lines {
				if at < 0 && strings.Contains(l, tt.in) && strings.Contains(l, tt.old) {
					at = i // line 0 is no entry
				}
			}
			if at < 0 {
				t.Fatalf("no line has %s", tt.old)
			}
			lines[at] = strings.Replace(lines[at], tt.old, tt.new, 1)
			rep, err := journal.Replay(strings.NewReader(strings.Join(lines, "")))
			if err != nil || rep.Different != 1 || rep.First == nil || rep.First.Entry != at {
				t.Fatalf("%+v %+v, %v: want one difference, in entry %d", rep, rep.First, err, at)
			}
			if tt.field != "" && rep.First.Field != tt.field || rep.First.Recorded == rep.First.Replayed {
				t.Errorf("difference %+v, want field %s", rep.First, tt.field)
			}
		})
	}
}

// The records in transactions are compared as what they are, not as base64.
func TestDifferenceInAStoredRecordIsReadable(t *testing.T) {
	text := death(t)
	i := strings.LastIndex(text, `"Key":"guest/101","Value":"`)
	if i < 0 {
		t.Fatal("no decision stores the guest")
	}
	i += len(`"Key":"guest/101","Value":"`)
	end := i + strings.IndexByte(text[i:], '"')
	other := `{"state":"error"}`
	rep, err := journal.Replay(strings.NewReader(text[:i] + base64Of(other) + text[end:]))
	if err != nil || rep.First == nil || !strings.HasPrefix(rep.First.Field, "Commits[0].Txn.Puts[0].Value.") {
		t.Fatalf("%+v %+v, %v", rep, rep.First, err)
	}
}

func base64Of(s string) string {
	b := ha.Encode([]byte(s))
	return string(b[1 : len(b)-1])
}

func TestNotAJournal(t *testing.T) {
	start := fmt.Sprintf(`{"kind":"start","format":1,"version":"x"}%s`, "\n")
	for name, text := range map[string]string{
		"text": "hello\nworld\n", "one line": "hello", "other JSON": "{}\n", "no start": `{"kind":"round"}` + "\n",
		"newer": `{"kind":"start","format":2}` + "\n", "unknown kind": start + `{"kind":"poem"}` + "\n",
		"garbage behind gzip's magic": "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff garbage",
	} {
		if rep, err := journal.Replay(strings.NewReader(text)); !errors.Is(err, journal.ErrFormat) || rep.Entries > 0 {
			t.Errorf("%s: %+v, %v", name, rep, err)
		}
	}
	for name, text := range map[string]string{
		"unknown event": start + `{"kind":"step","state":{},"event":{"type":"Poem","value":{}},"after":{},"effects":null}` + "\n",
		"half a round":  start + `{"kind":"round","decision":` + "\n",
	} {
		if _, err := journal.Replay(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), "line 2: ") {
			t.Errorf("%s: %v, want an error with the line", name, err)
		}
	}
	if rep, err := journal.Replay(bytes.NewReader(nil)); err != nil || rep.Entries != 0 {
		t.Errorf("empty: %+v, %v", rep, err)
	}
}

// large is a view with many guests.
func large(guests int) (leader.Observation, leader.State) {
	o := leader.Observation{Self: "n1", Term: 5, Store: ha.Snapshot{Guests: map[ha.VMID]ha.Versioned[ha.GuestRecord]{}}}
	for id := range ha.VMID(guests) {
		o.Store.Guests[id] = ha.Versioned[ha.GuestRecord]{Rev: 1, Rec: ha.GuestRecord{ID: id, Kind: ha.QEMU, Node: "n2", Storages: []string{"ceph"}}}
	}
	return o, leader.State{Nodes: map[ha.NodeName]leader.NodeMemory{}}
}

// BenchmarkRound is what a round costs the leader: it hands over, others encode.
func BenchmarkRound(b *testing.B) {
	j := journal.New(journal.Config{Dir: b.TempDir()})
	o, s := large(100)
	b.ReportAllocs()
	for b.Loop() {
		j.Round(1e9, leader.Options{}, s, o, leader.Decision{State: s})
	}
}

// BenchmarkStep is what a step costs the node's machine.
func BenchmarkStep(b *testing.B) {
	j := journal.New(journal.Config{Dir: b.TempDir()})
	s := node.State{Guests: map[ha.VMID]node.Guest{}}
	b.ReportAllocs()
	for b.Loop() {
		j.Step(1e9, node.Config{}, s, node.Tick{}, s, nil, 0)
	}
}
