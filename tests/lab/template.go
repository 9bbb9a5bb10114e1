package lab

import (
	"bytes"
	"fmt"
	"text/template"
	"time"

	"bascule/ha"
)

// The names of secrets and devices that the template and the preparation share.
const (
	tokenRole   = "bascule@pve!"
	bmcUser     = "admin"
	protectTag  = "ha"
	clusterName = "lab"
)

// configTemplate is a node's basculed.yaml. Paths are quoted: a lab directory may contain anything.
var configTemplate = template.Must(template.New("basculed.yaml").Parse(
	`# Written by halab for one node of a lab; a real node's is made by hactl init.
cluster: {{.Cluster}}
node: {{.Node}}
role: {{.Role}}
data_dir: {{printf "%q" (.Path "data")}}
run_dir: {{printf "%q" (.Path "root/run/bascule")}}
timing: {profile: {{.Timing.Profile}}, kill_time: {{.Timing.KillTime}}}
members:
{{- range .Members}}
  - {name: {{.Name}}, address: {{.Public}}{{if .Witness}}, witness: true{{end}}}
{{- end}}
bind_address: {{.Self.Bind}}
tls:
  ca_file: {{printf "%q" (.Path "tls/ca.pem")}}
  cert_file: {{printf "%q" (.Path "tls/cert.pem")}}
  key_file: {{printf "%q" (.Path "tls/key.pem")}}
gossip:
  port: 7946
  keyring_file: {{printf "%q" (.Path "secrets/gossip.key")}}
etcd:
  peer_port: 2380
  client_port: 2379
api:
  port: 8790
  socket: {{printf "%q" (.Path "root/run/bascule/api.sock")}}
{{- if not .Self.Witness}}
guard:
  socket: {{printf "%q" (.Path "root/run/bascule/guard.sock")}}
  watchdog:
    driver: {{.Watchdog}}
{{- if ne .Watchdog "none"}}
    device: {{printf "%q" (.Path "watchdog.sock")}}
{{- end}}
    timeout: {{.Timing.WatchdogTimeout}}
proxmox:
  url: https://{{.Self.Bind}}:8006
  server_name: {{.Node}}
  ca_file: {{printf "%q" (.Path "tls/ca.pem")}}
  token_id: {{.TokenID}}
  token_file: {{printf "%q" (.Path "secrets/pve.token")}}
  root: /etc/pve
protect:
  tags: [{{.Tag}}]
{{- end}}
{{- if ne .Fencing "watchdog"}}
fencing:
  devices:
{{- range .Members}}
{{- if not .Witness}}
    - node: {{.Name}}
      method: {{$.Fencing}}
{{- if eq $.Fencing "redfish"}}
      name: {{.Name}}-bmc
      settings:
        url: https://{{.BMC}}:{{$.RedfishPort}}
        user: {{$.BMCUser}}
        password_file: {{printf "%q" ($.Path "secrets/bmc.password")}}
        ca_file: {{printf "%q" ($.Path "tls/ca.pem")}}
{{- else if eq $.Fencing "ipmi"}}
      name: {{.Name}}-bmc
      settings:
        address: {{.BMC}}:{{$.IPMIPort}}
        user: {{$.BMCUser}}
        password_file: {{printf "%q" ($.Path "secrets/bmc.password")}}
{{- else}}
      name: {{.Name}}-sbd
      settings:
        disks: {{printf "%q" $.SBDDisk}}
        slot: {{.Name}}
        msgwait: {{$.MsgWait}}
{{- end}}
{{- end}}
{{- end}}
{{- end}}
alerts:
  command: []
  webhook_url_file: ""
log:
  level: info
  format: text
`))

// member is one machine as the template sees it.
type member struct {
	Name, Bind, Public, BMC string
	Witness                 bool
}

// configData is what the template is filled from.
type configData struct {
	layout   Layout
	Cluster  string
	Node     string
	Role     string // node or witness
	Self     member
	Members  []member
	Timing   ha.Timing
	Fencing  string
	Watchdog string
	TokenID  string
	BMCUser  string
	Tag      string
}

// The template's constants.
func (configData) RedfishPort() int       { return PortBMC }
func (configData) IPMIPort() int          { return PortIPMI }
func (configData) MsgWait() time.Duration { return MsgWait }

// SBDDisk is the shared disk of the lab.
func (d configData) SBDDisk() string { return d.layout.SBDDisk() }

// Path is a path in the node's directory.
func (d configData) Path(rel string) string { return d.layout.Node(d.Node, rel) }

// config renders a machine's basculed.yaml.
func (o Options) config(node string) ([]byte, error) {
	l := o.layout()
	timing, err := o.Timings()
	if err != nil {
		return nil, err
	}
	d := configData{
		layout: l, Cluster: clusterName, Node: node, Role: "node", Timing: timing, Fencing: o.Fencing, Watchdog: o.Watchdog,
		TokenID: tokenRole + node, BMCUser: bmcUser, Tag: protectTag,
	}
	for _, name := range o.machines() {
		k := o.index(name)
		m := member{Name: name, Bind: l.Bind(k).String(), Public: l.Public(k).String(), BMC: l.BMC(k).String(), Witness: name == WitnessName}
		d.Members = append(d.Members, m)
		if name == node {
			d.Self = m
		}
	}
	if d.Self.Witness {
		d.Role = "witness"
	}
	var out bytes.Buffer
	if err := configTemplate.Execute(&out, d); err != nil {
		return nil, fmt.Errorf("writing the configuration of %s: %w", d.Node, err)
	}
	return out.Bytes(), nil
}
