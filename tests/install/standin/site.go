package main

import (
	"os"
	"path/filepath"

	"bascule/tests/lab/pki"
)

// stateDir is where a machine keeps what pmxcfs shows each node differently; in the shared tree lie links to it.
const stateDir = "/run/standin"

// siteNodes are the site's nodes, by corosync's node ids less one.
var siteNodes = []struct{ name, address string }{{"node1", "10.77.1.1"}, {"node2", "10.77.1.2"}}

// corosyncConf is the site's before it has a third vote. The machines are alone in their network: it is not encrypted.
const corosyncConf = `totem {
  version: 2
  cluster_name: dmz
  config_version: 1
  transport: knet
  crypto_cipher: none
  crypto_hash: none
  interface {
    linknumber: 0
  }
}

nodelist {
  node {
    name: node1
    nodeid: 1
    quorum_votes: 1
    ring0_addr: 10.77.1.1
  }
  node {
    name: node2
    nodeid: 2
    quorum_votes: 1
    ring0_addr: 10.77.1.2
  }
}

quorum {
  provider: corosync_votequorum
}

logging {
  to_syslog: yes
}
`

// prepareSite writes the tree that the site's nodes share, with nothing of Bascule's in it.
func prepareSite(root string) error {
	ca, err := pki.New("Bascule installation test, site")
	if err != nil {
		return err
	}
	files := []file{
		{root + "/pve-root-ca.pem", ca.PEM(), 0o644},
		{root + "/storage.cfg", []byte(storages), 0o644},
		{root + "/corosync.conf", []byte(corosyncConf), 0o640},
		{root + "/priv/lock/.keep", nil, 0o600},
	}
	for _, n := range siteNodes {
		own, err := nodeFiles(ca, root, n.name)
		if err != nil {
			return err
		}
		files = append(files, own...)
	}
	files = append(files, file{root + "/nodes/node1/qemu-server/100.conf", []byte(vm), 0o640})
	if err := write(files...); err != nil {
		return err
	}
	for _, name := range []string{"members", "version"} {
		if err := os.Symlink(filepath.Join(stateDir, name), filepath.Join(root, "."+name)); err != nil {
			return err
		}
	}
	return nil
}
