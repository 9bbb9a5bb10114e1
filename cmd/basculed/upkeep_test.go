package main

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bascule/config"
)

func siteConfig(t *testing.T, more string) *config.Config {
	t.Helper()
	dir := t.TempDir()
	c, err := config.Parse("x.yaml", []byte("cluster: lan\nnode: node1\ndata_dir: "+dir+"\nrun_dir: "+filepath.Join(dir, "run")+"\n"+more))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Data that a daemon has open must not be exchanged under it.
func TestRestoreRefusesBesideARunningDaemon(t *testing.T) {
	c := siteConfig(t, "members: [{name: node1, address: 127.0.0.1}]\n")
	if err := os.Mkdir(c.RunDir, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", c.API.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := restore(io.Discard, c, filepath.Join(c.DataDir, "absent"), nil, 1); err == nil || !strings.Contains(err.Error(), "stop it on every member") {
		t.Errorf("beside a daemon: %v", err)
	}
	l.Close()
	if err := restore(io.Discard, c, filepath.Join(c.DataDir, "absent"), nil, 1); err == nil || !strings.Contains(err.Error(), "the copy") {
		t.Errorf("without a daemon: %v", err)
	}
}
