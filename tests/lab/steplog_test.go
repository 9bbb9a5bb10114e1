package lab

import (
	"testing"
	"time"
)

func TestLogLinesAreRead(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
	night := time.Date(2026, 3, 1, 23, 59, 59, 0, time.Local)
	for _, c := range []struct {
		text string
		mark time.Time
		at   time.Time
		msg  string
		want map[string]string
	}{
		{`time="12:00:01.250" level=info msg="step done" guest=101 self=node2 step=claim took=12ms`, noon, noon.Add(1250 * time.Millisecond), "step done",
			map[string]string{"guest": "101", "step": "claim", "took": "12ms"}},
		{`time="00:00:01.000" level=info msg="node node2: online -> suspect" node=node2 reason="it said \"no\"; lease=gone" term=7`, night, night.Add(2 * time.Second),
			"node node2: online -> suspect", map[string]string{"node": "node2", "reason": `it said "no"; lease=gone`, "term": "7"}},
	} {
		got, ok := parseLogLine(c.text, c.mark)
		if !ok || !got.At.Equal(c.at) || got.Msg != c.msg {
			t.Errorf("%s: %+v, %t", c.text, got, ok)
		}
		for k, v := range c.want {
			if got.Fields[k] != v {
				t.Errorf("%s: %s is %q, want %q", c.text, k, got.Fields[k], v)
			}
		}
	}
	for _, bad := range []string{"", "panic: no", `time="12:00:01.250" msg="cut`, "goroutine 1 [running]:", `time=noon msg=x`} {
		if got, ok := parseLogLine(bad, noon); ok {
			t.Errorf("%q was read as %+v", bad, got)
		}
	}
}
