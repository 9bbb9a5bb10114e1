package guard

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"bascule/ha/node"
	"bascule/ha/waittest"
)

// child starts this test binary under another title; it and its children carry this test's mark.
func child(t *testing.T, mark, role string, argv ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = argv
	cmd.Env = append(os.Environ(), roleVar+"="+role, markVar+"="+mark)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("child %v: %q, %v", argv, line, err)
	}
	return cmd
}

// marked keeps to the processes of one test.
func marked(mark string) func(pid int) bool {
	return func(pid int) bool {
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		return err == nil && slices.ContainsFunc(bytes.Split(env, []byte{0}), func(v []byte) bool { return string(v) == markVar+"="+mark })
	}
}

func TestRealProcesses(t *testing.T) {
	mark := strconv.Itoa(os.Getpid()) + t.Name()
	p := &ProcFS{Root: t.TempDir(), Filter: marked(mark), slow: slowReads{limit: waittest.Hang}}
	guests := refs(100000101, 100000201)
	child(t, mark, "parent", worker("100000101")...)
	vm := child(t, mark, "sleep", kvm("100000101")...)
	child(t, mark, "sleep", "[lxc monitor] /var/lib/lxc 100000201")
	child(t, mark, "sleep", kvm("100000102")...)
	child(t, "another test", "sleep", kvm("100000101")...)

	procs := mustFind(t, p, guests)
	whats := []string{}
	for _, q := range procs {
		whats = append(whats, q.What)
	}
	slices.Sort(whats)
	if got := strings.Join(whats, " "); got != "guest monitor other worker" {
		t.Fatalf("found %s: %+v", got, procs)
	}
	i := slices.IndexFunc(procs, func(q Proc) bool { return q.PID == vm.Process.Pid })
	recycled := procs[i]
	recycled.StartTime++
	if err := p.Kill(recycled); err != nil {
		t.Fatal(err)
	}
	if got := mustFind(t, p, guests); len(got) != 4 {
		t.Fatalf("killed a process of another start time: %+v", got)
	}
	if !slices.Contains(strings.Split(procs[i].Cmdline, " "), "100000101") {
		t.Errorf("command line %q", procs[i].Cmdline)
	}
	for _, q := range procs {
		if err := p.Kill(q); err != nil {
			t.Fatal(err)
		}
	}
	// The killed children are zombies until this process waits for them: that is gone enough. Their deaths take a moment.
	var left []Proc
	waittest.Until(t, waittest.Hang, "all are gone", func() bool { left = mustFind(t, p, guests); return len(left) == 0 }, &left)
	if left := mustFind(t, p, refs(100000102)); len(left) != 1 {
		t.Fatalf("another guest is gone: %+v", left)
	}
	if err := p.Kill(procs[0]); err != nil {
		t.Fatalf("killing what is gone: %v", err)
	}
}

func mustFind(t *testing.T, p *ProcFS, guests []node.GuestRef) []Proc {
	t.Helper()
	procs, err := p.Find(guests)
	if err != nil {
		t.Fatal(err)
	}
	return procs
}

// TestRealTime: with memory locked and future memory too, the process still runs and allocates; what is denied is said.
func TestRealTime(t *testing.T) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), roleVar+"=realtime")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s := string(out)
	if !strings.HasPrefix(s, "64 ") {
		t.Fatalf("did not allocate:\n%s", s)
	}
	locked := !strings.Contains(s, "VmLck:\t       0 kB")
	if said := strings.Contains(s, "memory is not locked: "); said == locked {
		t.Errorf("locked %v, said not locked %v:\n%s", locked, said, s)
	}
	_, stat, _ := strings.Cut(s, ") ")
	fields := strings.Fields(stat)
	rr := len(fields) > 38 && fields[38] == "2" // policy, the 41st field of proc(5)
	if said := strings.Contains(s, "no real-time scheduling: "); said == rr {
		t.Errorf("SCHED_RR %v, said denied %v:\n%s", rr, said, s)
	}
}

func BenchmarkFind(b *testing.B) {
	p := &ProcFS{}
	for b.Loop() {
		if _, err := p.Find(refs(100000101, 100000102, 100000103)); err != nil {
			b.Fatal(err)
		}
	}
}
