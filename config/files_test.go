package config

import (
	"slices"
	"testing"
)

func TestFilesNamesWhatABackupNeeds(t *testing.T) {
	c, s := parse("x.yaml", []byte(`cluster: lan
node: node1
members: [{name: node1, address: 10.0.0.1}, {name: node2, address: 10.0.0.2}, {name: node3, address: 10.0.0.3}]
alerts: {webhook_url_file: /etc/bascule/webhook.url}
fencing:
  devices:
    - {name: a, node: node1, method: redfish, settings: {url: 'https://10.0.9.1', password_file: /srv/bmc.password, ca_file: /etc/bascule/tls/ca.pem}}
`), surroundings{hostname: "node1"})
	if err := asError(s.problems); err != nil {
		t.Fatal(err)
	}
	want := []string{"/etc/bascule/tls/ca.pem", "/etc/bascule/tls/node.pem", "/etc/bascule/tls/node.key", "/etc/bascule/gossip.keys",
		"/etc/bascule/webhook.url", "/etc/bascule/proxmox.token", "/srv/bmc.password"}
	if got := c.Files(); !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}
