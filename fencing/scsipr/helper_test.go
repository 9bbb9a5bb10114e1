package scsipr

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/fencing/fencingtest"
	"bascule/fencing/scsipr/scsitest"
	"bascule/ha"
)

func TestMain(m *testing.M) { fencingtest.Main(m, Method) }

const (
	boot1 = ha.Incarnation("6f0f0cb1-5a3f-4b0c-9c3e-000000000001")
	boot2 = ha.Incarnation("6f0f0cb1-5a3f-4b0c-9c3e-000000000002")
)

// node is a Proxmox node with a directory of its own that a reboot empties.
type node struct {
	t        *testing.T
	name     ha.NodeName
	boot     ha.Incarnation
	settings map[string]string
	connect  connector
}

func newNode(t *testing.T, name ha.NodeName, luns string) *node {
	n := &node{t: t, name: name, boot: boot1, connect: connect}
	n.settings = map[string]string{"luns": luns, "storages": "san1", "state": filepath.Join(t.TempDir(), "scsi-pr.json")}
	return n
}

// reboot forgets what /run forgets.
func (n *node) reboot(boot ha.Incarnation) {
	n.boot = boot
	if err := os.RemoveAll(n.settings["state"]); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) key() Key { return KeyOf(n.name, n.boot) }

func (n *node) clients() []string { return []string{"ip:10.0.0.9", n.key().Client()} }

func (n *node) set(name, value string) *node {
	n.settings = maps.Clone(n.settings)
	n.settings[name] = value
	return n
}

func (n *node) register() error {
	n.t.Helper()
	r, err := NewRegistrar(n.settings, n.name, n.boot)
	if err != nil {
		n.t.Fatal(err)
	}
	r.connect = n.connect
	return r.Register(within(n.t, 40*time.Second))
}

func (n *node) mustRegister() {
	n.t.Helper()
	if err := n.register(); err != nil {
		n.t.Fatalf("%s: Register: %v", n.name, err)
	}
}

func (n *node) device() *Device {
	n.t.Helper()
	s, err := parse(n.settings)
	if err != nil {
		n.t.Fatal(err)
	}
	return &Device{s: s, connect: n.connect}
}

// access is what a node reads of another's.
func (n *node) access(other *node) ha.StorageAccess {
	n.t.Helper()
	got, err := n.device().Read(within(n.t, 40*time.Second), other.clients())
	if err != nil {
		n.t.Fatalf("Read: %v", err)
	}
	if len(got) != 1 || got[0].Storage != "san1" {
		n.t.Fatalf("Read: %+v", got)
	}
	return got[0].Access
}

func (n *node) wants(other *node, want ha.StorageAccess) {
	n.t.Helper()
	if got := n.access(other); got != want {
		n.t.Fatalf("%s reads the access of %s as %s, want %s", n.name, other.name, got, want)
	}
}

// fence is a Revoke that has to be accepted.
func (n *node) fence(other *node) []Outcome {
	n.t.Helper()
	out, err := n.device().Fence(within(n.t, 40*time.Second), other.clients())
	if err != nil {
		n.t.Fatalf("%s fences %s: %v", n.name, other.name, err)
	}
	return out
}

// refuses is a Revoke that has to fail in this way.
func (n *node) refuses(clients []string, kind error, text string) {
	n.t.Helper()
	fails(n.t, n.device().Revoke(within(n.t, 40*time.Second), clients), kind, text)
}

func fails(t *testing.T, err, kind error, text string) {
	t.Helper()
	if err == nil || fencing.Classify(err) != kind && !errors.Is(err, kind) || !strings.Contains(err.Error(), text) {
		t.Fatalf("%v, want %q and in it %q", err, kind, text)
	}
}

var within = fencingtest.Within

// kernel is a connector in which block devices are disks in memory: /dev/DISK-PORT is the disk over the node's PORT. It stands
// for the kernel of one node.
func kernel(name ha.NodeName, disks map[string]*scsitest.Disk) connector {
	return func(ctx context.Context, p path, as port) (transport, error) {
		if p.file == "" {
			return connect(ctx, p, as)
		}
		disk, hba, _ := strings.Cut(strings.TrimPrefix(p.file, "/dev/"), "-")
		if disks[disk] == nil {
			return nil, fencing.ErrUnreachable
		}
		return memory{disks[disk], string(name) + "," + hba}, nil
	}
}

type memory struct {
	d     *scsitest.Disk
	nexus string
}

func (m memory) execute(ctx context.Context, cdb, out []byte, in int) (reply, error) {
	if ctx.Err() != nil {
		return reply{}, ctx.Err()
	}
	status, data, sense, hang := m.d.Execute(m.nexus, cdb, out)
	if hang {
		<-ctx.Done()
		return reply{}, ctx.Err()
	}
	return reply{status, data[:min(in, len(data))], sense}, nil
}

func (memory) close() {}

// write is a guest's write through a node's port: the status that it meets, unit attentions aside.
func write(d *scsitest.Disk, nexus string) byte {
	for {
		status, _, _, _ := d.Execute(nexus, []byte{0x2a, 0, 0, 0, 0, 1, 0, 0, 1, 0}, make([]byte, 512))
		if status != scsitest.Check {
			return status
		}
	}
}
