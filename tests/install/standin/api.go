package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// privileges are those of the role that the installation's guide makes.
var privileges = map[string]int{"Sys.Audit": 1, "VM.Audit": 1, "Datastore.Audit": 1, "VM.PowerMgmt": 1, "VM.Migrate": 1}

// What is asked of this node; it proxies to no other.
var (
	guestPath = regexp.MustCompile(`^/qemu/([0-9]+)/status/(current|start)$`)
	taskPath  = regexp.MustCompile(`^/tasks/(UPID:[^/]+)/status$`)
)

func serveAPI() error {
	own := tree + "/nodes/" + thisNode() + "/pve-ssl"
	return http.ListenAndServeTLS("127.0.0.1:8006", own+".pem", own+".key", http.HandlerFunc(handle))
}

func handle(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/api2/json")
	data, err := answer(r.Method, path)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s %s: %v\n", r.Method, path, err)
		http.Error(w, err.Error(), http.StatusNotImplemented)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(map[string]any{"data": data}); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

func answer(method, path string) (any, error) {
	if path == "/access/permissions" {
		return map[string]any{"/": privileges, "/nodes": privileges, "/vms": privileges, "/storage": privileges}, nil
	}
	path, mine := strings.CutPrefix(path, "/nodes/"+thisNode())
	if !mine {
		return nil, fmt.Errorf("the stand-in does not know this")
	}
	if m := guestPath.FindStringSubmatch(path); m != nil {
		if m[2] == "start" && method == http.MethodPost {
			return start(m[1])
		}
		return map[string]any{"vmid": json.Number(m[1]), "status": state(m[1]), "qmpstatus": state(m[1])}, nil
	}
	if taskPath.MatchString(path) {
		return map[string]any{"status": "stopped", "exitstatus": "OK"}, nil
	}
	switch path {
	case "/status":
		return map[string]any{"memory": map[string]any{"total": 8 << 30}}, nil
	case "/storage":
		return []any{map[string]any{"storage": "shared", "type": "dir", "shared": 1, "active": 1, "enabled": 1, "content": "images"}}, nil
	case "/qemu":
		return list(), nil
	case "/lxc", "/tasks":
		return []any{}, nil
	}
	return nil, fmt.Errorf("the stand-in does not know this")
}

func list() []any {
	rows := []any{}
	names, _ := filepath.Glob(tree + "/nodes/" + thisNode() + "/qemu-server/*.conf")
	for _, n := range names {
		id := strings.TrimSuffix(filepath.Base(n), ".conf")
		rows = append(rows, map[string]any{"vmid": json.Number(id), "status": state(id)})
	}
	return rows
}

// state is the truth: whether the process in the PID file lives.
func state(id string) string {
	data, err := os.ReadFile(pidFile(id))
	if err != nil {
		return "stopped"
	}
	var pid int
	if _, err := fmt.Sscanf(string(data), "%d", &pid); err != nil || syscall.Kill(pid, 0) != nil {
		return "stopped"
	}
	return "running"
}

// start runs the guest in a scope of its own, as Proxmox does, and answers when it runs.
func start(id string) (any, error) {
	cmd := exec.Command("systemd-run", "--scope", "--quiet", "--collect", "--slice=qemu.slice", "--unit="+id, "/usr/bin/kvm", "-id", id)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() { _ = cmd.Wait() }() // how it ends, the PID file tells
	for range 50 {
		if state(id) == "running" {
			return fmt.Sprintf("UPID:%s:%08X:%08X:%08X:qmstart:%s:bascule@pve!%[1]s:", thisNode(), os.Getpid(), 1, time.Now().Unix(), id), nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return nil, fmt.Errorf("VM %s did not start", id)
}
