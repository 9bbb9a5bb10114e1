package pvesim

import (
	"strings"
	"testing"
)

// Recordings of commands on a node. The lab has no qm and pct, but an operator's hands: Operator, Unlock, and the
// corosync that its nodes see.

// command carries out a recorded command and returns what it prints to stderr.
type command struct {
	name string
	run  func(*testLab) (stderr string)
}

// qm starts, stops or shuts a guest down as the command does: it waits, and prints why the task failed.
func qm(vmid int, action string) func(*testLab) string {
	return func(l *testLab) string {
		id, err := l.Operator("n1", vmid, action)
		if err != nil {
			_, why, _ := strings.Cut(err.Error(), "on n1: ")
			return why + "\n"
		}
		if status := l.wait(id); status != "OK" {
			return status + "\n"
		}
		return ""
	}
}

// unlock also looks at the file, as the recorded command line does.
func unlock(vmid int) func(*testLab) string {
	return func(l *testLab) string {
		l.must(l.SetLock(vmid, "migrate"))
		if err := l.Unlock("n1", vmid); err != nil {
			return err.Error() + "\n"
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		at := l.mirrored.vms[vmid]
		if strings.Contains(string(l.mirrored.entries[configPath(at.node, at.kind, vmid)].data), "lock:") {
			return "the lock is still there\n"
		}
		return ""
	}
}

// pvesh asks the API as root.
func pvesh(method, path string) func(*testLab) string {
	return func(l *testLab) string {
		r, err := l.call("n1", l.ticket(), method, path, nil)
		if err != nil {
			return err.Error() + "\n"
		}
		if r.status != 200 {
			return r.reason + "\n"
		}
		if id, ok := r.data().(string); ok { // it waits for the task
			if status := l.wait(id); status != "OK" {
				return status + "\n"
			}
		}
		return ""
	}
}

var commandGroups = []struct {
	name    string
	prepare func(*testLab)
	cases   []command
}{
	{"with quorum", func(l *testLab) { l.run(vm100 + "/status/start"); l.run("/nodes/n2/qemu/101/status/start") }, []command{
		{"cli_qm_start_running", qm(100, "start")}, {"cli_qm_start_unknown", qm(999, "start")}, {"cli_qm_unlock", unlock(100)}, {"cli_pct_unlock", unlock(200)},
		{"cli_pvesh_error", pvesh("GET", "/nodes/n1/qemu/999/config")}, {"cli_pvesh_start", pvesh("POST", "/nodes/n2/qemu/101/status/start")},
	}},
	{"without quorum", isolateN1, []command{{"cli_noquorum_qm_start", qm(100, "start")}}},
}

func TestConformanceOfCommands(t *testing.T) {
	dir := recordedDir(t)
	for _, g := range commandGroups {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			lab := recordedLab(t, nil)
			g.prepare(lab)
			for _, c := range g.cases {
				want, _ := readRecording(t, dir, c.name).Response.Body.(map[string]any)
				got := c.run(lab)
				if got != want["stderr"] {
					t.Errorf("%s: %q, recorded %q", c.name, got, want["stderr"])
				}
				note(c.name, got == want["stderr"])
			}
		})
	}
}
