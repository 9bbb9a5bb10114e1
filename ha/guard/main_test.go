package guard

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/node"

	"go.uber.org/goleak"
)

// roleVar makes the test binary play another process; markVar marks the processes that a test started.
const (
	roleVar = "BASCULE_GUARD_TEST_ROLE"
	markVar = "BASCULE_GUARD_TEST_MARK"
)

func TestMain(m *testing.M) {
	switch os.Getenv(roleVar) {
	case "":
		goleak.VerifyTestMain(m)
	case "sleep":
		playSleep()
	case "parent":
		playParent()
	case "realtime":
		playRealTime()
	}
}

// playSleep says that it is there and waits for its end, which comes with its parent's test at the latest.
func playSleep() {
	fmt.Println("ready")
	time.Sleep(5 * time.Minute)
}

// playParent starts a process with an ordinary name, as a worker starts qemu-img, and waits.
func playParent() {
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{"qemu-img", "convert"}
	cmd.Env = append(os.Environ(), roleVar+"=sleep")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := out.Read(make([]byte, 8)); err != nil {
		fmt.Println(err)
		return
	}
	playSleep()
}

func playRealTime() {
	lines := &textLog{}
	q := newLogq(lines.logger())
	realTime(q)
	held := make([][]byte, 0)
	for range 64 { // allocating still works when future memory is locked too
		held = append(held, make([]byte, 256<<10))
	}
	q.close()
	fmt.Println(len(held), lines.String())
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		fmt.Println(err)
	}
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "VmLck:") {
			fmt.Print(line)
		}
	}
	stat, err := os.ReadFile("/proc/self/stat")
	fmt.Println("stat", string(stat), err)
}

func testTiming(t testing.TB) ha.Timing {
	t.Helper()
	tm, err := ha.Profile("normal") // grace 500ms, kill 3s, feed 2s, watchdog 10s
	if err != nil {
		t.Fatal(err)
	}
	return tm
}

func refs(ids ...ha.VMID) []node.GuestRef {
	out := []node.GuestRef{}
	for _, id := range ids {
		out = append(out, node.GuestRef{ID: id, Kind: ha.QEMU})
	}
	return out
}
