package bench

import (
	"strings"
	"testing"
	"time"

	"bascule/tests/lab"
)

// TestProfileDividesTheWholeTime gives a failover's log lines and tasks, and wants each millisecond in one phase.
func TestProfileDividesTheWholeTime(t *testing.T) {
	cut := time.Unix(1700000000, 0)
	at := func(ms int) time.Time { return cut.Add(time.Duration(ms) * time.Millisecond) }
	line := func(ms int, node, msg string, fields ...string) lab.LogLine {
		l := lab.LogLine{Node: node, At: at(ms), Msg: msg, Fields: map[string]string{}}
		for i := 0; i < len(fields); i += 2 {
			l.Fields[fields[i]] = fields[i+1]
		}
		return l
	}
	plain := []lab.LogLine{
		line(-50, "node1", "node node3: online -> suspect", "node", "node3"), // an earlier one
		line(1300, "node1", "node node3: online -> suspect", "node", "node3"),
		line(2300, "node1", "node node3: suspect -> fenced", "node", "node3"),
		line(2320, "node1", "guest 101: recovery -> starting", "node", "node3", "guest", "101"),
		line(2350, "node2", "step done", "guest", "101", "step", "verify"),
		line(2600, "node2", "step done", "guest", "101", "step", "claim"),
		line(2610, "node2", "step done", "guest", "101", "step", "unlock"),
	}
	starts := []lab.Task{{Node: "node2", VMID: 101, Start: at(2700), End: at(3100)}, {Node: "node2", VMID: 101, Start: at(9000), End: at(9100)}}
	fenced := append([]lab.LogLine{
		line(6000, "node2", "this node leads now"),
		line(6100, "node2", "node node3: online -> suspect", "node", "node3"),
		line(6150, "node2", "node node3: suspect -> fencing", "node", "node3"),
		line(7000, "node2", "node node3: fencing -> fenced", "node", "node3"),
	}, line(7020, "node2", "step done", "guest", "101", "step", "verify"))
	ms := func(v ...int) (p Profile) {
		for i, n := range v {
			p[i] = time.Duration(n) * time.Millisecond
		}
		return p
	}
	for _, c := range []struct {
		name   string
		kind   Kind
		lines  []lab.LogLine
		starts []lab.Task
		first  int
		want   Profile
	}{
		{"a plain node, seen off", Plain, plain, starts, 2950, ms(1300, 0, 1000, 50, 250, 100, 250)},
		{"the leader: its successor's election counts as the lease", Leader, fenced, nil, 7500, ms(100, 6050, 850, 20, 0, 0, 480)},
		{"nothing was logged", Plain, nil, nil, 4000, ms(0, 0, 0, 0, 0, 0, 4000)},
	} {
		r := Round{Kind: c.kind, Victim: "node3", Cut: cut, Guests: map[int]time.Duration{101: time.Duration(c.first) * time.Millisecond}}
		if got := profilesOf(c.lines, c.starts, r)[101]; got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestPhaseTable(t *testing.T) {
	text := phaseTable("plain", "tuned", []Profile{{Detection: time.Second, Proof: time.Second, Start: 2 * time.Second}})
	for _, part := range []string{"detection", "1000", "25 %", "50 %", "2770", "+1230 ms"} {
		if !strings.Contains(text, part) {
			t.Errorf("the table lacks %q:\n%s", part, text)
		}
	}
}
