package guard

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"
)

// TestMuxConn is the real socket: what the mux has not read is seen, and that it hung up.
func TestMuxConn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mux.sock")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if _, err := dialMux(path + ".none"); err == nil {
		t.Error("a socket that is not there")
	}
	c, err := dialMux(path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if err := c.write("."); err != nil {
		t.Fatal(err)
	}
	if n, err := c.unread(); n == 0 || err != nil { // the kernel counts its own way; 0 is what has a meaning
		t.Errorf("written and not even accepted: %d unread, %v", n, err)
	}
	srv, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := c.unread(); n == 0 || err != nil {
		t.Errorf("accepted and not read: %d unread, %v", n, err)
	}
	if _, err := srv.Read(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.unread(); n != 0 || err != nil {
		t.Errorf("read: %d unread, %v", n, err)
	}
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := c.unread(); err == nil {
		t.Errorf("hung up: %d unread and no error", n)
	}
}

// TestMuxOverARealSocket is the driver as it runs, with a server that only reads.
func TestMuxOverARealSocket(t *testing.T) {
	// Where the machine stalls, what was read is seen too late, and the second feeding is due.
	for try := range 5 {
		all, err := muxLife(t)
		if err == nil && all == ".V" { // fed twice at once it wrote once
			return
		}
		t.Logf("try %d: it wrote %q: %v", try+1, all, err)
	}
	t.Error("it does not write what it should")
}

// muxLife opens, feeds twice and disarms, and returns what the server has read.
func muxLife(t *testing.T) (string, error) {
	path := filepath.Join(t.TempDir(), "mux.sock")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	got := make(chan string, 1)
	go func() {
		srv, err := ln.Accept()
		if err != nil {
			got <- err.Error()
			return
		}
		defer srv.Close()
		all, _ := io.ReadAll(srv)
		got <- string(all)
	}()
	w := newMuxWatchdog(WatchdogOptions{Path: path, Feed: 2 * time.Second, TrustSoftdog: true})
	defer w.Close()
	for i, f := range []func() error{func() error { return w.Open(0) }, w.Feed, w.Feed, w.Disarm, w.Disarm} {
		if err := f(); err != nil {
			return "", fmt.Errorf("step %d: %w", i, err)
		}
	}
	return <-got, nil
}

func TestClocksAreRead(t *testing.T) {
	if boot, wall := readClocks(); boot == 0 || wall < 1e18 {
		t.Errorf("clocks %v, %v", boot, wall)
	}
}
