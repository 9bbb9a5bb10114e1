package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Corosync's own copy of its configuration.
const localCorosyncConf = "/etc/corosync/corosync.conf"

// servePmxcfs plays the part of pmxcfs that acts by itself: it follows corosync's membership, and gives corosync the configuration of the shared
// tree when that has a new version. The tree itself stays writable without quorum, in contrast to Proxmox's.
func servePmxcfs() error {
	for {
		if err := pmxcfsRound(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		time.Sleep(300 * time.Millisecond)
	}
}

func pmxcfsRound() error {
	if err := passCorosyncConf(); err != nil {
		return err
	}
	m, err := readMembership()
	if err != nil {
		return err
	}
	return errors.Join(replace(stateDir+"/version", treeVersion(m)), replace(stateDir+"/members", m))
}

var configVersion = regexp.MustCompile(`(?m)^\s*config_version:\s*([0-9]+)`)

func versionOf(conf []byte) int {
	m := configVersion.FindSubmatch(conf)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(string(m[1])) // the pattern has digits only
	return n
}

// passCorosyncConf copies a newer configuration and has corosync read it.
func passCorosyncConf() error {
	shared, err := os.ReadFile(tree + "/corosync.conf")
	if err != nil {
		return err
	}
	local, err := os.ReadFile(localCorosyncConf)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if versionOf(shared) <= versionOf(local) {
		return nil
	}
	if err := replace(localCorosyncConf, shared); err != nil {
		return err
	}
	for try := 1; ; try++ { // it is for the whole cluster, and fails while another node's is under way, which may still read the old file here
		err := exec.Command("corosync-cfgtool", "-R").Run()
		if err == nil || try == 20 {
			return err
		}
		time.Sleep(500 * time.Millisecond)
	}
}

// A node's line in the answer of corosync-quorumtool: its id, its votes, its name; the quorum device is node 0.
var memberLine = regexp.MustCompile(`^\s*([0-9]+)\s+[0-9]+\s`)

// readMembership makes a .members from what corosync says. While corosync does not answer the node is alone, without quorum.
func readMembership() ([]byte, error) {
	out, _ := exec.Command("corosync-quorumtool", "-s").Output() // its exit status says that there is no quorum, or no corosync
	quorate, online := 0, map[string]bool{}
	in := false
	for line := range strings.Lines(string(out)) {
		if key, value, ok := strings.Cut(line, ":"); ok && key == "Quorate" && strings.TrimSpace(value) == "Yes" {
			quorate = 1
		}
		in = in || strings.HasPrefix(line, "Membership information")
		if m := memberLine.FindStringSubmatch(line); in && m != nil {
			online[m[1]] = true
		}
	}
	type entry struct {
		ID     int    `json:"id"`
		Online int    `json:"online"`
		IP     string `json:"ip"`
	}
	list := map[string]entry{}
	for i, n := range siteNodes {
		e := entry{ID: i + 1, IP: n.address}
		if online[strconv.Itoa(i+1)] {
			e.Online = 1
		}
		list[n.name] = e
	}
	return json.Marshal(map[string]any{"nodename": thisNode(), "version": 1, "nodelist": list,
		"cluster": map[string]any{"name": "dmz", "version": 1, "nodes": len(siteNodes), "quorate": quorate}})
}

// treeVersion changes with the membership and with every guest's configuration.
func treeVersion(membership []byte) []byte {
	sum := fnv.New32a()
	confs, _ := filepath.Glob(tree + "/nodes/*/*/*.conf") // only a bad pattern is an error
	for _, name := range confs {
		if info, err := os.Stat(name); err == nil {
			fmt.Fprintln(sum, name, info.ModTime().UnixNano())
		}
	}
	vmlist := sum.Sum32()
	sum.Write(membership)
	return fmt.Appendf(nil, `{"starttime":1,"clinfo":%d,"vmlist":%d}`, sum.Sum32(), vmlist)
}

// replace makes a file anew at once, if it is to be another.
func replace(name string, data []byte) error {
	if have, err := os.ReadFile(name); err == nil && bytes.Equal(have, data) {
		return nil
	}
	if err := write(file{name + ".new", data, 0o644}); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}
