// Command standin is what the installed package meets in the test of its installation (tests/install): as much of a Proxmox VE node as a
// release build of basculed needs to be well with one VM, and as much of its commands as hactl calls. In contrast to tests/lab/pvesim, which
// simulates clusters for lab builds, it works on the machine's real /etc/pve, sockets and processes, because a release build knows no others.
//
//	standin prepare   writes /etc/pve of a node that is alone, and into /root/config what an operator would put into /etc/bascule
//	standin site DIR  writes the tree that the nodes of a site of two share as their /etc/pve (before they boot)
//	standin pmxcfs    what changes by itself in the shared tree: .members and .version from the real corosync, and corosync's configuration to it
//	standin api       the node's API on 127.0.0.1:8006
//	standin mux       watchdog-mux: who connects, and whether he takes leave before he goes, is written to its log
//	kvm -id N …       a VM: by its name and arguments a guest's process, writing a line every 100 ms
//	pvesh …           users, tokens and firewall rules, kept in the shared tree
//
// It proves nothing about Proxmox; that is pvesim's task. It may run only in the machines that the test boots.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// tree is where Proxmox's tree is.
const tree = "/etc/pve"

// thisNode is the machine's name, which is the node's.
func thisNode() string {
	name, err := os.Hostname()
	if err != nil {
		return "nobody"
	}
	return name
}

func main() {
	if err := run(filepath.Base(os.Args[0]), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "standin:", err)
		os.Exit(1)
	}
}

func run(program string, args []string) error {
	switch program {
	case "kvm":
		return guest(args)
	case "pvesh":
		return pvesh(args)
	}
	if len(args) == 0 {
		return fmt.Errorf("usage: standin prepare|site|pmxcfs|api|mux")
	}
	switch args[0] {
	case "prepare":
		return prepare()
	case "site":
		if len(args) != 2 {
			return fmt.Errorf("usage: standin site DIRECTORY")
		}
		return prepareSite(args[1])
	case "pmxcfs":
		return servePmxcfs()
	case "api":
		return serveAPI()
	case "mux":
		return serveMux()
	}
	return fmt.Errorf("no such part: %s", args[0])
}
