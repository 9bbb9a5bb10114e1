package fencing

import "strings"

// Neither of these two embeds a bytes.Buffer: its ReadFrom, through which a child's output is copied, would know no bound.

// Head keeps the first Max bytes of a child's output and lets the child go on.
type Head struct {
	Max int
	b   []byte
}

func (h *Head) Write(p []byte) (int, error) {
	if room := h.Max - len(h.b); room > 0 {
		h.b = append(h.b, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

// Bytes is what was kept.
func (h *Head) Bytes() []byte { return h.b }

// Tail keeps the last Max bytes of a child's output: what went wrong stands in the last lines.
type Tail struct {
	Max int
	Cut bool // there was more
	b   []byte
}

func (t *Tail) Write(p []byte) (int, error) {
	n := len(p)
	if len(p) > t.Max {
		p, t.Cut = p[len(p)-t.Max:], true
	}
	if over := len(t.b) + len(p) - t.Max; over > 0 {
		t.b, t.Cut = append(t.b[:0], t.b[over:]...), true
	}
	t.b = append(t.b, p...)
	return n, nil
}

// String is what was kept, without the first line if its beginning is lost: half a secret would not be recognised.
func (t *Tail) String() string {
	s := string(t.b)
	if t.Cut {
		_, s, _ = strings.Cut(s, "\n")
	}
	return s
}
