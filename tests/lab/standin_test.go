package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// standIn is a process of a node in the place of basculed or its guard.
func standIn(role string, args []string) error {
	dir := os.Getenv(MarkVariable)
	fmt.Printf("%s stands in on %s, boot %s\n", role, filepath.Base(dir), readText(filepath.Join(dir, "boot_id")))
	switch role {
	case "guard":
		return standInGuard(dir)
	case "basculed":
		return standInDaemon(dir)
	case "crash":
		return errors.New("this stand-in always crashes: " + strings.Join(args, " "))
	}
	return fmt.Errorf("no stand-in for %q", role)
}

// shortWatchdog is a file in a node's directory: the stand-in takes it away and arms the watchdog with half a second, which only a test
// that wants it to fire can use: a busy machine stops a guard for longer.
const shortWatchdog = "short-watchdog"

// standInGuard arms the watchdog and feeds it until it is stopped or killed.
func standInGuard(dir string) error {
	conn, err := net.Dial("unix", filepath.Join(dir, "watchdog.sock"))
	if err != nil {
		return err
	}
	if _, err := io.WriteString(conn, "T60000\n"); err != nil {
		return err
	}
	for {
		time.Sleep(50 * time.Millisecond)
		if os.Remove(filepath.Join(dir, shortWatchdog)) == nil {
			if _, err := io.WriteString(conn, "T500\n"); err != nil {
				return err
			}
		}
		if _, err := conn.Write([]byte{'.'}); err != nil {
			return err
		}
	}
}

// standInDaemon answers the status of a healthy cluster, echoes on the node's API port, and has a child with a clean environment, as
// a fencing agent is started.
func standInDaemon(dir string) error {
	child := exec.Command("sleep", "3600")
	child.Env = []string{"PATH=" + os.Getenv("PATH")}
	child.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := child.Start(); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "child"), []byte(strconv.Itoa(child.Process.Pid)), 0o644); err != nil {
		return err
	}
	bind, err := standInBind(filepath.Join(dir, "basculed.yaml"))
	if err != nil {
		return err
	}
	echo, err := net.Listen("tcp4", fmt.Sprintf("%s:%d", bind, PortAPI))
	if err != nil {
		return err
	}
	go func() {
		for {
			conn, err := echo.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(conn, conn) }()
		}
	}()
	socket := filepath.Join(dir, "root", "run", "bascule", "api.sock")
	_ = os.Remove(socket) // left by a crash
	api, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	return http.Serve(api, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		nodes := []map[string]string{}
		for _, name := range []string{"node1", "node2"} {
			nodes = append(nodes, map[string]string{"name": name, "state": "online"})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"leader": "node1", "nodes": nodes, "etcd": map[string]string{"raft_leader": "node2"}})
	}))
}

func standInBind(config string) (string, error) {
	for line := range strings.SplitSeq(readText(config), "\n") {
		if bind, ok := strings.CutPrefix(line, "bind_address: "); ok {
			return bind, nil
		}
	}
	return "", fmt.Errorf("%s names no bind_address", config)
}
