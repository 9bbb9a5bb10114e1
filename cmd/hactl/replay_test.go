package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"

	"github.com/rogpeppe/go-internal/testscript"

	"bascule/ha/journal/journaltest"
)

// recordDeath is `journal DIR` in a script: the decisions about a node's death.
func recordDeath(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(journaltest.Death(ts.MkAbs(args[0])))
}

// corrupt is `corrupt FILE NEW-FILE OLD NEW` in a script: a journal's text with one word changed.
func corrupt(ts *testscript.TestScript, _ bool, args []string) {
	f, err := os.Open(ts.MkAbs(args[0]))
	ts.Check(err)
	defer f.Close()
	gz, err := gzip.NewReader(f)
	ts.Check(err)
	b, err := io.ReadAll(gz)
	ts.Check(err)
	if !bytes.Contains(b, []byte(args[2])) {
		ts.Fatalf("%s does not hold %s", args[0], args[2])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), bytes.Replace(b, []byte(args[2]), []byte(args[3]), 1), 0o600))
}
