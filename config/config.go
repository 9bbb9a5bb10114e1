package config

import (
	"time"

	"bascule/ha"
)

// DefaultPath is where the daemon and the command line look for the configuration.
const DefaultPath = "/etc/bascule/basculed.yaml"

// Role is what a machine is for.
type Role string

// The two roles.
const (
	RoleNode    Role = "node"    // a Proxmox VE node that runs guests
	RoleWitness Role = "witness" // votes only
)

// Config is one machine's configuration with all defaults filled in. Durations are in Go's notation in the file. A default
// between angle brackets is computed from other settings.
type Config struct {
	Cluster        string           `yaml:"cluster" required:"true" example:"lab" doc:"Name of the cluster: 1 to 32 of a-z, 0-9 and -. The same on every member."`
	Node           ha.NodeName      `yaml:"node" default:"<host name, up to its first dot>" example:"node1" doc:"This machine's name among the members; on a Proxmox node the name that /etc/pve/nodes has."`
	Role           Role             `yaml:"role" enum:"node|witness" default:"<witness where this machine's member entry says so, else node>" example:"node" doc:"node runs guests; witness only votes."`
	DataDir        string           `yaml:"data_dir" default:"/var/lib/bascule" doc:"What must survive a reboot: etcd's data. On a local disk, never on the storage that Bascule protects."`
	RunDir         string           `yaml:"run_dir" default:"/run/bascule" doc:"Sockets and what must not survive a reboot: the lease to re-adopt."`
	TimingSettings TimingSettings   `yaml:"timing" scalar:"profile" doc:"A profile by name (timing: fast), or a mapping with a profile and the few waits that may differ. All members must say the same. Everything else follows from the profile."`
	MemberSettings []MemberSettings `yaml:"members" required:"true" example:"{name: node1, address: 10.0.0.1}\n{name: node2, address: 10.0.0.2}\n{name: node3, address: 10.0.0.3}" doc:"All members of the cluster in one order, the same on every member."`
	BindAddress    string           `yaml:"bind_address" default:"<this machine's member address>" example:"10.0.0.1" doc:"IP address or name to listen on for gossip, etcd and the API."`
	TLS            TLS              `yaml:"tls" doc:"Certificates between members, made by hactl init and hactl join."`
	Gossip         Gossip           `yaml:"gossip" doc:"Failure detection between members."`
	Etcd           Etcd             `yaml:"etcd" doc:"The store: embedded, which voters run and of which the other members are clients, or an external etcd."`
	API            API              `yaml:"api" doc:"What hactl talks to."`
	Guard          Guard            `yaml:"guard" doc:"The guard (bascule-guard.service): it holds the watchdog and ends this node's guests when the permit ends."`
	Proxmox        Proxmox          `yaml:"proxmox" doc:"This node's own Proxmox VE API and configuration tree. A witness needs none of it."`
	Protect        Protect          `yaml:"protect" doc:"Which guests Bascule protects: those that match any of these. Guests managed by Proxmox's own HA are always refused."`
	Recovery       Recovery         `yaml:"recovery" doc:"What is done for guests whose own node lives."`
	Limits         Limits           `yaml:"limits" doc:"Retries, and how much happens at once."`
	Fencing        Fencing          `yaml:"fencing" doc:"How a dead node is switched off, and proven off, before its guests start elsewhere."`
	Alerts         Alerts           `yaml:"alerts" doc:"Where alerts go besides the log."`
	Log            Log              `yaml:"log" doc:"The daemon's log."`

	Members []ha.Member `yaml:"-"` // as the other packages use them, in file order

	voters   []ha.Member
	spares   []ha.Member
	timing   ha.Timing
	warnings []Problem
	src      *source
}

// TimingSettings chooses a profile and the waits that may differ from it.
type TimingSettings struct {
	Profile         string        `yaml:"profile" enum:"fast|normal|patient" default:"normal" doc:"fast, normal or patient: lease of 3, 5 or 20 s, with gossip and etcd to match. hactl doctor measures which one the hardware carries."`
	FenceDelay      time.Duration `yaml:"fence_delay" range:"0s..1h" default:"<of the profile: 0s>" example:"0s" doc:"Extra wait between the decision that a node is dead and its fencing."`
	DaemonGrace     time.Duration `yaml:"daemon_grace" range:"0s..10m" default:"<of the profile: 15s>" example:"15s" doc:"How long to wait before fencing while corosync still lists the node: its daemon died, not the node."`
	PermitGrace     time.Duration `yaml:"permit_grace" range:"0s..1m" default:"<of the profile: 500ms, patient 1s>" example:"500ms" doc:"From the end of a node's permit to the first kill of its guests."`
	KillTime        time.Duration `yaml:"kill_time" range:"100ms..10m" default:"<of the profile: 3s>" example:"3s" doc:"How long the guard may take to end the guests before it lets the watchdog end the node."`
	WatchdogTimeout time.Duration `yaml:"watchdog_timeout" range:"1s..10m" default:"<of the profile: 10s>" example:"10s" doc:"From the last feeding of the watchdog to the reset."`
	DeviceTimeout   time.Duration `yaml:"device_timeout" range:"100ms..5m" default:"<of the profile: fast 1.5s, normal 3s, patient 10s>" example:"3s" doc:"One request to a fencing device. A slow device may need a more patient profile."`
	LevelTimeout    time.Duration `yaml:"level_timeout" range:"1s..1h" default:"<of the profile: 1m>" example:"1m" doc:"A fencing level without proof for so long yields to the next."`
	BootTime        time.Duration `yaml:"boot_time" range:"30s..1h" default:"<of the profile: 5m>" example:"5m" doc:"The longest that a machine takes from power-on or a reset until its node registers again: no device resets it a second time before (hetzner-robot), and after an outage of everything none that has power is switched off before."`
}

// MemberSettings is one entry of the member list as written.
type MemberSettings struct {
	Name    ha.NodeName `yaml:"name" required:"true" example:"node1" doc:"Node name."`
	Address string      `yaml:"address" required:"true" example:"10.0.0.1" doc:"IP address or host name, without a port, that the others reach it at."`
	Witness bool        `yaml:"witness" default:"false" doc:"It votes and runs no guests."`
	Voter   bool        `yaml:"voter" default:"<witnesses, then members in order: 3 voters, 5 from five members on>" example:"true" doc:"true: it keeps a copy of the store and votes; an odd number is best, and a witness always votes. false: it never votes, not even in the place of a voter that is gone."`
}

// TLS names the files of the members' certificates.
type TLS struct {
	CAFile   string `yaml:"ca_file" default:"/etc/bascule/tls/ca.pem" doc:"The cluster's certificate authority."`
	CertFile string `yaml:"cert_file" default:"/etc/bascule/tls/node.pem" doc:"This machine's certificate."`
	KeyFile  string `yaml:"key_file" default:"/etc/bascule/tls/node.key" doc:"Its private key; mode 0600."`
}

// Gossip configures memberlist.
type Gossip struct {
	Port        int    `yaml:"port" range:"1..65535" default:"7946" doc:"UDP and TCP port."`
	KeyringFile string `yaml:"keyring_file" default:"/etc/bascule/gossip.keys" doc:"Encryption keys, base64, one a line, the first one sends; mode 0600."`
}

// Etcd configures the store: embedded, or with Endpoints an external one.
type Etcd struct {
	PeerPort      int           `yaml:"peer_port" range:"1..65535" default:"2380" doc:"TCP port between voters of the embedded store."`
	ClientPort    int           `yaml:"client_port" range:"1..65535" default:"2379" doc:"TCP port of the embedded store for the members."`
	InitialVoters []ha.NodeName `yaml:"initial_voters" default:"<all voters>" example:"[node1, node2, node3]" doc:"Voters that formed the embedded store when it was first started. Any other voter never forms one: it waits until hactl etcd add lets it in. Write it before a cluster is made larger."`
	Endpoints     []string      `yaml:"endpoints" default:"[]" example:"['https://10.0.0.11:2379', 'https://10.0.0.12:2379', 'https://10.0.0.13:2379']" doc:"Client addresses of an external etcd, all of one cluster. With them no member votes, embeds a store or is a witness."`
	CAFile        string        `yaml:"ca_file" default:"<none>" example:"/etc/bascule/etcd/ca.pem" doc:"Authority that signed the external etcd's certificates; required with endpoints."`
	CertFile      string        `yaml:"cert_file" default:"<none>" example:"/etc/bascule/etcd/client.pem" doc:"This machine's client certificate for the external etcd. It or a user is required with endpoints."`
	KeyFile       string        `yaml:"key_file" default:"<none>" example:"/etc/bascule/etcd/client.key" doc:"Its private key; mode 0600."`
	User          string        `yaml:"user" default:"<none>" example:"bascule" doc:"User of the external etcd, where it has authentication enabled; its role must be allowed to read and write everything under /bascule/v1/CLUSTER/."`
	PasswordFile  string        `yaml:"password_file" default:"<none>" example:"/etc/bascule/etcd/password" doc:"File with the user's password alone; mode 0600. Read at every login."`
}

// API configures the daemon's HTTP API.
type API struct {
	Port   int    `yaml:"port" range:"1..65535" default:"8790" doc:"TCP port, TLS with client certificates."`
	Socket string `yaml:"socket" default:"<run_dir>/api.sock" example:"/run/bascule/api.sock" doc:"Unix socket for this machine's root."`
}

// Guard configures the guard process.
type Guard struct {
	Socket       string   `yaml:"socket" default:"<run_dir>/guard.sock" example:"/run/bascule/guard.sock" doc:"Unix socket on which the agent renews the permit."`
	Watchdog     Watchdog `yaml:"watchdog" doc:"The watchdog that resets this node when its guests could not be ended in time."`
	TrustSoftdog bool     `yaml:"trust_softdog" default:"false" doc:"Let a software watchdog count as proof that the node ends itself, also behind watchdog-mux. It does not survive a hung kernel."`
}

// Watchdog configures the guard's watchdog.
type Watchdog struct {
	Driver  string        `yaml:"driver" enum:"none|device|watchdog-mux|lab" default:"none" doc:"none: no watchdog, so self-fencing is never a proof for this node. device: a watchdog device of the guard's own. watchdog-mux: the node's first watchdog, shared with Proxmox; its proof takes 62 s longer. lab: the simulated watchdog of halab, in lab builds only."`
	Device  string        `yaml:"device" default:"<none>" example:"/dev/watchdog1" doc:"Path of the watchdog: the device file (driver device needs it), or the socket (watchdog-mux; without it /run/watchdog-mux.sock)."`
	Timeout time.Duration `yaml:"timeout" range:"1s..10m" default:"<timing.watchdog_timeout>" example:"10s" doc:"The same value as timing.watchdog_timeout; write it in one of the two places."`
}

// Proxmox configures the way to the node's own Proxmox VE.
type Proxmox struct {
	URL         string        `yaml:"url" default:"https://127.0.0.1:8006" doc:"The own node's API, https only."`
	ServerName  string        `yaml:"server_name" default:"<node>" example:"node1" doc:"Name that the API's certificate must carry."`
	CAFile      string        `yaml:"ca_file" default:"/etc/pve/pve-root-ca.pem" doc:"Authority that signed the API's certificate."`
	TokenID     string        `yaml:"token_id" default:"bascule@pve!<node>" example:"bascule@pve!node1" doc:"API token: user@realm!name."`
	TokenFile   string        `yaml:"token_file" default:"/etc/bascule/proxmox.token" doc:"File with the token's secret alone; mode 0600."`
	Root        string        `yaml:"root" default:"/etc/pve" doc:"Proxmox's configuration tree. Files below it are not looked for at start-up: it may be mounted later."`
	CallTimeout time.Duration `yaml:"call_timeout" range:"1s..2m" default:"10s" doc:"Deadline of one API call."`
}

// Protect selects the guests under protection.
type Protect struct {
	Tags  []string `yaml:"tags" default:"[ha]" doc:"Guests with any of these Proxmox tags."`
	Pools []string `yaml:"pools" default:"[]" doc:"Guests in any of these Proxmox pools."`
	VMIDs []int    `yaml:"vmids" default:"[]" doc:"These guests by number."`
	All   bool     `yaml:"all" default:"false" doc:"Every guest of the cluster."`
}

// Choice is the selection in package ha's words.
func (p Protect) Choice() ha.Protect {
	out := ha.Protect{Tags: p.Tags, Pools: p.Pools, All: p.All}
	for _, id := range p.VMIDs {
		out.VMIDs = append(out.VMIDs, ha.VMID(id))
	}
	return out
}

// Recovery says what is done by itself for guests of nodes that live. All members must say the same: whoever leads decides.
type Recovery struct {
	LeaveLostStorage bool `yaml:"leave_lost_storage" default:"true" doc:"Guests leave a living node that has lost one of their storages: they are stopped there and started where it works. false: they stay, and hactl status says so; guests of nodes that die are recovered all the same."`
}

// Limits bounds retries and parallel work.
type Limits struct {
	MaxRestart     int `yaml:"max_restart" range:"0..10" default:"1" doc:"Starts tried again on the same node before the guest is moved."`
	MaxRelocate    int `yaml:"max_relocate" range:"0..10" default:"2" doc:"Nodes tried after that before the guest is in state error."`
	ParallelStarts int `yaml:"parallel_starts" range:"1..64" default:"4" doc:"Guests that one node starts at once."`
	ParallelMoves  int `yaml:"parallel_moves" range:"1..32" default:"2" doc:"Guests that move at once."`
}

// Fencing lists the devices that switch nodes off and the order they are used in.
type Fencing struct {
	Devices []DeviceSettings           `yaml:"devices" default:"[]" example:"{name: node1-bmc, node: node1, method: redfish, settings: {url: 'https://10.0.9.1'}}" doc:"Devices that can switch a node off and read its power."`
	Levels  map[ha.NodeName][][]string `yaml:"levels" default:"<per node: all its devices together, then manual>" example:"node1: [[node1-bmc], [manual]]" doc:"Per node: levels in order (the next when one gives no proof); all devices of a level are needed. manual means hactl confirm-off."`

	After         string                 `yaml:"after" enum:"stay-off|on" default:"stay-off" doc:"What becomes of a machine that was switched off when its end is proven: it stays off until a person switches it on, or it is switched on again. Never before the proof; not while it is drained, was fenced too often, or was fenced by an operator."`
	NodeAfter     map[ha.NodeName]string `yaml:"node_after" enum:"stay-off|on" default:"{}" example:"node1: on" doc:"Per node, where it differs from after."`
	MaxConcurrent int                    `yaml:"max_concurrent" range:"1..32" default:"4" doc:"Nodes that are switched off at once; the others wait for their turn, those with the more important guests the shortest. Proofs that need no command count all the same."`
	MinHealthy    int                    `yaml:"min_healthy" range:"0..100" default:"51" doc:"Percent of the voters, witnesses among them, that must be healthy (with an external etcd: of the members, and the store counts as one more, healthy) before the leader switches off anything; hactl fence overrides it. Proofs that need no command count all the same."`
	PriorityDelay time.Duration          `yaml:"priority_delay" range:"0s..1h" default:"0s" doc:"Extra wait, beside timing.fence_delay, before the fencing of the node whose guests are more important than those of every other node: it may come back."`
}

// The values of Fencing.After and Fencing.NodeAfter.
const (
	AfterStayOff = "stay-off"
	AfterOn      = "on"
)

// Manual is the built-in device of the last level: an operator confirms that the node is off.
const Manual = "manual"

// DeviceSettings is one fencing device as written.
type DeviceSettings struct {
	Name     string            `yaml:"name" required:"true" example:"node1-bmc" doc:"Unique; a-z, 0-9, - and _; not manual."`
	Node     ha.NodeName       `yaml:"node" required:"true" example:"node1" doc:"The member that it switches."`
	Method   string            `yaml:"method" required:"true" example:"redfish" doc:"Fencing method; hactl doctor lists them."`
	Settings map[string]string `yaml:"settings" default:"{}" doc:"What the method needs; each method documents its keys."`
}

// Alerts says where alerts go.
type Alerts struct {
	Command        []string `yaml:"command" default:"[]" example:"[/usr/local/bin/bascule-alert]" doc:"Program and arguments (no shell), run for each alert; the alert comes as JSON on its standard input."`
	WebhookURLFile string   `yaml:"webhook_url_file" default:"<none>" example:"/etc/bascule/webhook.url" doc:"File with the URL to POST alerts to; mode 0600, because such a URL is a secret."`
}

// Log configures the daemon's log.
type Log struct {
	Level  string `yaml:"level" enum:"debug|info|warn|error" default:"info" doc:"The least severe messages to show."`
	Format string `yaml:"format" enum:"text|json|journal" default:"text" doc:"journal: text with systemd's priorities in front."`
}
