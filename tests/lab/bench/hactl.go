package bench

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"bascule/tests/lab"
)

// Hactl runs hactl against one node's basculed and returns what it printed, its errors included.
func Hactl(ctx context.Context, l *lab.Lab, node string, args ...string) (string, error) {
	full := append([]string{"--socket", l.APISocket(node)}, args...)
	cmd := exec.CommandContext(ctx, filepath.Join(l.Options.Bin, "hactl"), full...)
	cmd.Env = append(os.Environ(), "NO_COLOR=1")
	out, err := cmd.CombinedOutput()
	return strings.TrimRight(string(out), "\n"), err
}
