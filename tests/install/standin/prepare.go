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

// prepare writes a node's /etc/pve and, apart, what belongs into /etc/bascule.
func prepare() error {
	ca, err := pki.New("Bascule installation test")
	if err != nil {
		return err
	}
	api, err := ca.Issue(node, node, "127.0.0.1", "localhost")
	if err != nil {
		return err
	}
	own, err := ca.Issue(node, node, address, "10.77.0.2", "127.0.0.1", "localhost")
	if err != nil {
		return err
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	const config, pve = "/root/config", "/etc/pve"
	for _, f := range []struct {
		path string
		data []byte
		mode os.FileMode
	}{
		{pve + "/.members", []byte(members), 0o644},
		{pve + "/.version", []byte(`{"starttime":1,"clinfo":1,"vmlist":1}`), 0o644},
		{pve + "/pve-root-ca.pem", ca.PEM(), 0o644},
		{pve + "/storage.cfg", []byte("dir: shared\n\tpath /mnt\n\tshared 1\n\tcontent images\n"), 0o644},
		{pve + "/nodes/node1/pve-ssl.pem", api.CertPEM, 0o644},
		{pve + "/nodes/node1/pve-ssl.key", api.KeyPEM, 0o600},
		{pve + "/nodes/node1/qemu-server/100.conf", []byte(vm), 0o640},
		{pve + "/nodes/node1/lxc/.keep", nil, 0o640},
		{config + "/basculed.yaml", []byte(configuration), 0o600},
		{config + "/tls/ca.pem", ca.PEM(), 0o644},
		{config + "/tls/node.pem", own.CertPEM, 0o644},
		{config + "/tls/node.key", own.KeyPEM, 0o600},
		{config + "/gossip.keys", []byte(base64.StdEncoding.EncodeToString(key) + "\n"), 0o600},
		{config + "/proxmox.token", []byte("00000000-0000-0000-0000-000000000000\n"), 0o600},
		{"/root/witness.yaml", []byte(witness), 0o600},
	} {
		if err := os.MkdirAll(filepath.Dir(f.path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(f.path, f.data, f.mode); err != nil {
			return fmt.Errorf("preparing: %w", err)
		}
	}
	return nil
}
