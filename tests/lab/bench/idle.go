package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"bascule/tests/lab"

	"github.com/jedib0t/go-pretty/v6/table"
)

// clockTick is the unit of CPU times in /proc: USER_HZ, which is 100 on every architecture that Proxmox runs on.
const clockTick = 10 * time.Millisecond

// Cost is what one process of a node cost while nothing happened.
type Cost struct {
	Node, Role string
	RSS        int64 // bytes at the end
	CPU        float64
	Disk       float64 // bytes written per second
}

// Idle leaves a healthy lab alone for a while and prints what its daemons cost, then a line RESULT.
func Idle(ctx context.Context, l *lab.Lab, wait time.Duration, out io.Writer) error {
	before := usages(l)
	rev, err := revision(ctx, l)
	if err != nil {
		return err
	}
	start := time.Now()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(wait):
	}
	took := time.Since(start)
	last, err := revision(ctx, l)
	if err != nil {
		return err
	}
	var costs []Cost
	for pid, now := range usages(l) {
		was, ok := before[pid]
		if !ok {
			return fmt.Errorf("%s of %s was restarted while it should have been idle: see its log", now.role, now.node)
		}
		costs = append(costs, Cost{Node: now.node, Role: now.role, RSS: now.rss,
			CPU: 100 * float64(now.cpu-was.cpu) / float64(took), Disk: float64(now.written-was.written) / took.Seconds()})
	}
	printIdle(out, costs, float64(last-rev)/took.Seconds(), took)
	return nil
}

func printIdle(out io.Writer, costs []Cost, writes float64, took time.Duration) {
	slices.SortFunc(costs, func(a, b Cost) int { return strings.Compare(a.Node+a.Role, b.Node+b.Role) })
	most := map[string]Cost{}
	for _, c := range costs {
		m := most[c.Role]
		most[c.Role] = Cost{RSS: max(m.RSS, c.RSS), CPU: max(m.CPU, c.CPU)}
	}
	if len(costs) > manyCosts {
		fmt.Fprintln(out, classTable(costs))
	} else {
		fmt.Fprintln(out, costTable(costs))
	}
	fmt.Fprintf(out, "RESULT idle=%.0fs nodes=%d daemon_rss_max=%.1fMiB daemon_cpu_max=%.2f%% guard_rss_max=%.1fMiB guard_cpu_max=%.2f%% etcd_writes_per_second=%.3f\n",
		took.Seconds(), len(costs)/max(1, len(most)), mib(most["basculed"].RSS), most["basculed"].CPU, mib(most["guard"].RSS), most["guard"].CPU, writes)
}

// manyCosts is how many processes are listed one by one.
const manyCosts = 20

func costTable(costs []Cost) string {
	t := table.NewWriter()
	t.AppendHeader(table.Row{"node", "process", "RSS MiB", "CPU %", "disk KiB/s"})
	for _, c := range costs {
		t.AppendRow(table.Row{c.Node, c.Role, fmt.Sprintf("%.1f", mib(c.RSS)), fmt.Sprintf("%.2f", c.CPU), fmt.Sprintf("%.1f", c.Disk/1024)})
	}
	return t.Render()
}

// classTable sums up: the voters keep a copy of the store, the others are its clients.
func classTable(costs []Cost) string {
	t := table.NewWriter()
	t.AppendHeader(table.Row{"processes", "number", "RSS MiB mean", "max", "CPU % mean", "max", "all", "disk KiB/s all"})
	for _, class := range []string{"basculed, voters", "basculed, clients", "guard"} {
		var rss int64
		var all, most Cost
		n := 0
		for _, c := range costs {
			if classOf(c) != class {
				continue
			}
			n++
			rss, all.CPU, all.Disk = rss+c.RSS, all.CPU+c.CPU, all.Disk+c.Disk
			most.RSS, most.CPU = max(most.RSS, c.RSS), max(most.CPU, c.CPU)
		}
		if n > 0 {
			t.AppendRow(table.Row{class, n, fmt.Sprintf("%.1f", mib(rss/int64(n))), fmt.Sprintf("%.1f", mib(most.RSS)),
				fmt.Sprintf("%.2f", all.CPU/float64(n)), fmt.Sprintf("%.2f", most.CPU), fmt.Sprintf("%.1f", all.CPU), fmt.Sprintf("%.1f", all.Disk/1024)})
		}
	}
	return t.Render()
}

// classOf sorts a process. A cluster of so many nodes has five voters, the first ones.
func classOf(c Cost) string {
	switch {
	case c.Role != "basculed":
		return c.Role
	case slices.Contains([]string{lab.NodeName(1), lab.NodeName(2), lab.NodeName(3), lab.NodeName(4), lab.NodeName(5)}, c.Node):
		return "basculed, voters"
	}
	return "basculed, clients"
}

func mib(b int64) float64 { return float64(b) / (1 << 20) }

// revision is the highest store revision that any node knows: etcd's own counter of writes.
func revision(ctx context.Context, l *lab.Lab) (int64, error) {
	var highest int64
	for _, n := range l.Names() {
		body, err := l.Ask(ctx, n, "/v1/status")
		if err != nil {
			return 0, err
		}
		var s struct {
			Etcd struct {
				Revision int64 `json:"revision"`
			} `json:"etcd"`
		}
		if err := json.Unmarshal(body, &s); err != nil {
			return 0, fmt.Errorf("the status of %s: %w", n, err)
		}
		highest = max(highest, s.Etcd.Revision)
	}
	return highest, nil
}

// usage is what /proc says of one daemon.
type usage struct {
	node, role string
	rss        int64
	cpu        time.Duration
	written    int64
}

// usages looks at every basculed and guard of the lab, by PID.
func usages(l *lab.Lab) map[int]usage {
	out := map[int]usage{}
	for _, p := range l.Processes() {
		role := roleOf(p.Title)
		if role == "" {
			continue
		}
		u := usage{node: p.Node, role: role}
		u.rss = field(p.Pid, "status", "VmRSS:") << 10
		u.written = field(p.Pid, "io", "write_bytes:")
		if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Pid)); err == nil {
			f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
			if len(f) > 12 {
				user, _ := strconv.Atoi(f[11])
				system, _ := strconv.Atoi(f[12])
				u.cpu = time.Duration(user+system) * clockTick
			}
		}
		out[p.Pid] = u
	}
	return out
}

func roleOf(title string) string {
	f := strings.Fields(title)
	if len(f) == 0 || !strings.HasSuffix(f[0], "basculed") {
		return ""
	}
	if len(f) > 1 && f[1] == "guard" {
		return "guard"
	}
	return "basculed"
}

// field reads a number behind a name in a file of /proc/PID; 0 when it is not there.
func field(pid int, file, name string) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			if f := strings.Fields(rest); len(f) > 0 {
				n, _ := strconv.ParseInt(f[0], 10, 64)
				return n
			}
		}
	}
	return 0
}
