package guard

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// labServer returns what each connection sent, once it is closed.
func labServer(t *testing.T) (path string, sent <-chan string, restart func()) {
	t.Helper()
	dir, err := os.MkdirTemp("", "dog")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path = filepath.Join(dir, "watchdog.sock")
	out := make(chan string, 16)
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	conns := make(chan net.Conn, 16)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			conns <- conn
			go func() {
				data, _ := io.ReadAll(conn) // a reset by the test ends it too
				out <- string(data)
			}()
		}
	}()
	return path, out, func() { _ = (<-conns).Close() }
}

func TestLabWatchdog(t *testing.T) {
	path, sent, restart := labServer(t)
	dog, err := NewWatchdog(WatchdogOptions{Driver: "lab", Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if dog.Driver() != "lab" || dog.Feed() == nil {
		t.Fatal("fed though not open")
	}
	do := func(errs ...error) {
		t.Helper()
		for _, err := range errs {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	do(dog.Open(10*time.Second), dog.Feed(), dog.Feed(), dog.Disarm())
	if got := <-sent; got != "T10000\n..V" {
		t.Fatalf("an orderly life: %q", got)
	}
	do(dog.Disarm())
	if got := <-sent; got != "V" {
		t.Fatalf("disarming without being open: %q", got)
	}
	do(dog.Open(time.Second), dog.Close(), dog.Close())
	if got := <-sent; got != "T1000\n" {
		t.Fatalf("left armed: %q", got)
	}
	restart() // the first three are closed already
	restart()
	restart()
	do(dog.Open(time.Second))
	restart()
	<-sent
	var feedErr error
	for range 100 { // the first write may still go into the kernel's buffer
		if feedErr = dog.Feed(); feedErr != nil {
			break
		}
	}
	if feedErr == nil {
		t.Fatal("feeding a watchdog that hung up succeeds")
	}
	do(dog.Open(time.Second), dog.Feed(), dog.Close())
	if got := <-sent; got != "T1000\n." {
		t.Fatalf("after opening again: %q", got)
	}
	missing, err := NewWatchdog(WatchdogOptions{Driver: "lab", Path: path + ".none"})
	do(err)
	if missing.Open(time.Second) == nil || missing.Disarm() == nil {
		t.Fatal("opened a socket that is not there")
	}
}
