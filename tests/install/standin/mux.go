package main

import (
	"fmt"
	"net"
	"os"
	"sync"
)

// muxLog tells what became of each client: "armed", then "took leave" (V came last) or "LOST", after which the real one resets the node.
const muxLog = "/var/log/watchdog-mux.log"

func serveMux() error {
	const socket = "/run/watchdog-mux.sock"
	_ = os.Remove(socket) // of an earlier run
	l, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(muxLog, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	say := func(what string) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintln(log, what)
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			say("armed")
			last, buf := byte(0), make([]byte, 64)
			for {
				n, err := c.Read(buf)
				if n > 0 {
					last = buf[n-1]
				}
				if err != nil {
					break
				}
			}
			say(map[bool]string{true: "took leave", false: "LOST"}[last == 'V'])
		}()
	}
}
