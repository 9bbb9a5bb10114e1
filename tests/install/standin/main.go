// Command standin is what the installed package meets in the test of its installation (tests/install): as much of a Proxmox VE node as a
// release build of basculed needs to be well with one VM. In contrast to tests/lab/pvesim, which simulates clusters for lab builds, it
// works on the machine's real /etc/pve, sockets and processes, because a release build knows no others.
//
//	standin prepare   writes /etc/pve, and into /root/config what an operator would put into /etc/bascule
//	standin api       the node's API on 127.0.0.1:8006
//	standin mux       watchdog-mux: who connects, and whether he takes leave before he goes, is written to its log
//	kvm -id N …       a VM: by its name and arguments a guest's process, writing a line every 100 ms
//
// It proves nothing about Proxmox; that is pvesim's task. It may run only in the machine that the test boots.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// node is the name of the one node, address that of the member.
const (
	node    = "node1"
	address = "10.77.0.1"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "standin:", err)
		os.Exit(1)
	}
}

func run() error {
	if filepath.Base(os.Args[0]) == "kvm" {
		return guest(os.Args[1:])
	}
	if len(os.Args) != 2 {
		return fmt.Errorf("usage: standin prepare|api|mux")
	}
	switch os.Args[1] {
	case "prepare":
		return prepare()
	case "api":
		return serveAPI()
	case "mux":
		return serveMux()
	}
	return fmt.Errorf("no such part: %s", os.Args[1])
}
