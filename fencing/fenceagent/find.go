package fenceagent

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"bascule/fencing"
)

// searched are the folders in which an agent without a path is looked for.
var searched = []string{"/usr/sbin", "/sbin", "/usr/bin"}

// find returns the agent's program, with links resolved. It runs as root with a device's password: nobody but root may be able to
// change it, its folder or one above.
func (s settings) find() (string, error) {
	path := s.agent
	if !filepath.IsAbs(path) {
		path = ""
		for _, dir := range searched {
			if _, err := os.Stat(filepath.Join(dir, s.agent)); err == nil {
				path = filepath.Join(dir, s.agent)
				break
			}
		}
		if path == "" {
			return "", fmt.Errorf("%w: the agent %s is in none of /usr/sbin, /sbin and /usr/bin: install its package (Debian: fence-agents), or write its path", fencing.ErrSettings, s.agent)
		}
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", fmt.Errorf("%w: the agent: %w", fencing.ErrSettings, err)
	}
	for at := real; ; at = filepath.Dir(at) {
		if err := trusted(at, at == real); err != nil {
			return "", err
		}
		if at == "/" {
			return real, nil
		}
	}
}

// trusted says whether only root can change a program, or what is in a folder. In a sticky folder such as /tmp others cannot touch
// what is root's.
func trusted(path string, program bool) error {
	st, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("%w: the agent: %w", fencing.ErrSettings, err)
	}
	mode := st.Mode()
	switch {
	case program && (!mode.IsRegular() || mode.Perm()&0o111 == 0):
		return fmt.Errorf("%w: the agent %s is no program: write the path of an executable file", fencing.ErrSettings, path)
	case st.Sys().(*syscall.Stat_t).Uid != 0:
		return fmt.Errorf("%w: the agent would run as root, but %s does not belong to root: run chown root %s, if nobody has changed the agent", fencing.ErrSettings, path, path)
	case mode.Perm()&0o022 != 0 && (program || mode&fs.ModeSticky == 0):
		return fmt.Errorf("%w: the agent would run as root, but others than root can change %s (mode %04o): run chmod go-w %s, if nobody has changed the agent", fencing.ErrSettings, path, mode.Perm(), path)
	}
	return nil
}
