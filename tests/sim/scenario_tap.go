package sim

import (
	"bytes"
	"io"
	"strings"
)

// tap reads the trace as it is written: what a device has taken stands there and nowhere else.
type tap struct {
	out     io.Writer // nil: nobody else reads
	devices map[string]*[]string
}

// Write takes one line of the trace: "TIME WHO ACTION: ...".
func (t *tap) Write(line []byte) (int, error) {
	if _, rest, ok := bytes.Cut(line, []byte("s ")); ok {
		who, text, _ := strings.Cut(string(bytes.TrimSpace(rest)), " ")
		if list := t.devices[who]; list != nil {
			action, _, _ := strings.Cut(strings.TrimSpace(text), ":")
			*list = append(*list, action)
		}
	}
	if t.out == nil {
		return len(line), nil
	}
	return t.out.Write(line)
}
