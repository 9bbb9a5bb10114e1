package main

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"

	"bascule/tests/lab/pki"
)

const members = `{ "nodename": "node1", "version": 1,
"cluster": { "name": "test", "version": 1, "nodes": 1, "quorate": 1 },
"nodelist": { "node1": { "id": 1, "online": 1, "ip": "10.77.0.1"} } }
`

// vm is the guest, as Proxmox keeps it: it is to be protected, and would be started at boot.
const vm = `name: web
memory: 512
onboot: 1
scsi0: shared:vm-100-disk-0,size=4G
tags: ha
`

// storages are what /mnt stands for.
const storages = "dir: shared\n\tpath /mnt\n\tshared 1\n\tcontent images\n"

const configuration = `cluster: test
node: node1
members:
  - {name: node1, address: 10.77.0.1}
guard:
  watchdog: {driver: watchdog-mux}
  trust_softdog: true
`

// witness is another machine's, of a cluster whose node is away.
const witness = `cluster: test
node: witness1
members:
  - {name: node1, address: 10.77.0.1}
  - {name: witness1, address: 10.77.0.2, witness: true}
`

// file is one to be written.
type file struct {
	path string
	data []byte
	mode os.FileMode
}

func write(files ...file) error {
	for _, f := range files {
		if err := os.MkdirAll(filepath.Dir(f.path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(f.path, f.data, f.mode); err != nil {
			return fmt.Errorf("preparing: %w", err)
		}
	}
	return nil
}

// nodeFiles are a node's own part of Proxmox's tree.
func nodeFiles(ca *pki.CA, root, node string) ([]file, error) {
	api, err := ca.Issue(node, node, "127.0.0.1", "localhost")
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(root, "nodes", node)
	return []file{
		{dir + "/pve-ssl.pem", api.CertPEM, 0o644},
		{dir + "/pve-ssl.key", api.KeyPEM, 0o600},
		{dir + "/qemu-server/.keep", nil, 0o640},
		{dir + "/lxc/.keep", nil, 0o640},
	}, nil
}

// prepare writes /etc/pve of a node that is alone and, apart, what belongs into /etc/bascule.
func prepare() error {
	ca, err := pki.New("Bascule installation test")
	if err != nil {
		return err
	}
	const node, config = "node1", "/root/config"
	own, err := ca.Issue(node, node, "10.77.0.1", "10.77.0.2", "127.0.0.1", "localhost")
	if err != nil {
		return err
	}
	files, err := nodeFiles(ca, tree, node)
	if err != nil {
		return err
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return write(append(files,
		file{tree + "/.version", []byte(`{"starttime":1,"clinfo":1,"vmlist":1}`), 0o644},
		file{tree + "/pve-root-ca.pem", ca.PEM(), 0o644},
		file{tree + "/storage.cfg", []byte(storages), 0o644},
		file{tree + "/nodes/node1/qemu-server/100.conf", []byte(vm), 0o640},
		file{config + "/basculed.yaml", []byte(configuration), 0o600},
		file{config + "/tls/ca.pem", ca.PEM(), 0o644},
		file{config + "/tls/node.pem", own.CertPEM, 0o644},
		file{config + "/tls/node.key", own.KeyPEM, 0o600},
		file{config + "/gossip.keys", []byte(base64.StdEncoding.EncodeToString(key) + "\n"), 0o600},
		file{config + "/proxmox.token", []byte("00000000-0000-0000-0000-000000000000\n"), 0o600},
		file{"/root/witness.yaml", []byte(witness), 0o600},
		file{tree + "/.members", []byte(members), 0o644}, // last: by it one sees that all is there
	)...)
}
