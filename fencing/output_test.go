package fencing_test

import (
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"

	"bascule/fencing"
)

// What a child says is copied as the standard library does it, which may take other ways than Write.
func TestOutputsAreBounded(t *testing.T) {
	const length = 1 << 20
	for _, c := range []output{
		head(10, "line 1\nlin"),
		head(2*length, strings.Repeat("line 1\n", length/7)),
		tail(10, "line 1\n"),
		tail(2*length, strings.Repeat("line 1\n", length/7)),
	} {
		cmd := exec.Command("sh", "-c", fmt.Sprintf("yes 'line 1' | head -n %d", length/7))
		cmd.Stdout = c.out
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		if got := c.kept(); got != c.want {
			t.Errorf("%s: kept %d bytes: %.40q, want %d", c.name, len(got), got, len(c.want))
		}
	}
}

// output is one that keeps something of what is written to it.
type output struct {
	name string
	out  io.Writer
	kept func() string
	want string
}

func head(max int, want string) output {
	h := &fencing.Head{Max: max}
	return output{"head", h, func() string { return string(h.Bytes()) }, want}
}

func tail(max int, want string) output {
	h := &fencing.Tail{Max: max}
	return output{"tail", h, h.String, want}
}
