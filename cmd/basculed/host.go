package main

import "bascule/ha"

// host is this machine: which boot it is, which hardware, and where its files are. host_release.go and, for halab,
// host_lab.go say how it is found out.
type host struct {
	incarnation ha.Incarnation
	systemUUID  string
	root        string             // prefix of /run/qemu-server and the like; "" on a real node
	own         func(pid int) bool // whether a process is this node's; nil: all are
}
