package pvesim

import (
	"encoding/json"
	"fmt"
	"os"
)

// Environment of the processes of a node. nodeDirEnv marks them: a power cut kills every process that has it.
const (
	nodeDirEnv = "BASCULE_LAB_NODE_DIR"
	roleEnv    = "BASCULE_LAB_PVE_ROLE"
	specEnv    = "BASCULE_LAB_PVE_SPEC"
)

// Roles of a child process.
const (
	roleWorker  = "worker"  // a worker before it has its title
	roleTask    = "task"    // a worker
	roleVM      = "vm"      // kvm
	roleMonitor = "monitor" // a container's monitor
	roleInit    = "init"    // a container's init
)

// RunChild must be the first call in main (or TestMain) of a binary that uses this package. In a process that was
// started as a worker or guest it plays that role and never returns; in any other it returns at once.
func RunChild() {
	role := os.Getenv(roleEnv)
	if role == "" {
		return
	}
	spec := os.Getenv(specEnv)
	var err error
	switch role {
	case roleWorker:
		err = becomeTask(spec)
	case roleTask:
		err = runTask(spec)
	case roleVM:
		err = runVM(spec)
	case roleMonitor:
		err = runMonitor(spec)
	case roleInit:
		err = runInit(spec)
	default:
		err = fmt.Errorf("unknown role %q", role)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "pvesim: %s (pid %d): %v\n", role, os.Getpid(), err)
		os.Exit(1)
	}
	os.Exit(0)
}

func decodeSpec(encoded string, into any) error {
	if err := json.Unmarshal([]byte(encoded), into); err != nil {
		return fmt.Errorf("reading %s failed: %w", specEnv, err)
	}
	return nil
}
