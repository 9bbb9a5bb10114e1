package lab

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	setup "bascule/ha/setup/pki"
	"bascule/tests/lab/pki"

	"github.com/google/uuid"
)

// secrets are what the lab makes up at its start. They exist in files of mode 0600 and in the world's memory.
type secrets struct {
	ca          *pki.CA
	bmcPassword string
	tokens      map[string]string // node → secret of its PVE token
	nodeCerts   map[string]pki.Pair
	bmcCerts    map[string]pki.Pair
	systemUUIDs map[string]string
}

// prepare fills the lab's directory: certificates, secrets, configuration of every node.
func prepare(o Options) (*secrets, error) {
	ca, err := pki.New(clusterName)
	if err != nil {
		return nil, err
	}
	s := &secrets{ // IPMI has room for passwords of 20 characters
		ca: ca, bmcPassword: randomText(10), tokens: map[string]string{},
		nodeCerts: map[string]pki.Pair{}, bmcCerts: map[string]pki.Pair{}, systemUUIDs: map[string]string{},
	}
	gossipKey := setup.NewGossipKey()
	for _, name := range o.machines() {
		if err := s.prepareNode(o, name, gossipKey); err != nil {
			return nil, fmt.Errorf("preparing %s: %w", name, err)
		}
	}
	for _, dir := range []string{o.layout().GuestLogs(), o.layout().Shared(sharedStorage), o.layout().Shared(secondStorage)} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("the shared storage cannot be made: %w", err)
		}
	}
	if err := os.WriteFile(filepath.Join(o.Dir, "ca.pem"), ca.PEM(), 0o644); err != nil {
		return nil, fmt.Errorf("the lab's CA certificate cannot be written: %w", err)
	}
	return s, nil
}

func (s *secrets) prepareNode(o Options, node, gossipKey string) error {
	l, i := o.layout(), o.index(node)
	for _, dir := range []string{"log", "data", "secrets", "tls", "root/run", "root/var/lock/qemu-server"} {
		if err := os.MkdirAll(l.Node(node, dir), 0o700); err != nil {
			return err // names the path
		}
	}
	var err error
	if s.nodeCerts[node], err = s.ca.Issue(node, l.Bind(i).String(), l.Public(i).String(), node, "localhost"); err != nil {
		return err
	}
	if s.bmcCerts[node], err = s.ca.Issue(node+"-bmc", l.BMC(i).String()); err != nil {
		return err
	}
	if err := s.ca.Write(l.Node(node, "tls"), s.nodeCerts[node]); err != nil {
		return err
	}
	config, err := o.config(node)
	if err != nil {
		return err
	}
	s.tokens[node] = uuid.NewString()
	s.systemUUIDs[node] = uuid.NewString()
	for path, text := range map[string]string{
		"basculed.yaml":        string(config),
		"system_uuid":          s.systemUUIDs[node] + "\n",
		"secrets/gossip.key":   gossipKey + "\n",
		"secrets/pve.token":    s.tokens[node] + "\n",
		"secrets/bmc.password": s.bmcPassword + "\n",
	} {
		if err := os.WriteFile(l.Node(node, path), []byte(text), 0o600); err != nil {
			return err // names the path
		}
	}
	return nil
}

// newBoot gives a node a new incarnation and an empty /run, as a boot does.
func newBoot(l Layout, node string) (bootID string, err error) {
	run := l.Node(node, "root", "run")
	if err := emptyDir(run); err != nil {
		return "", fmt.Errorf("booting %s: its /run cannot be emptied: %w", node, err)
	}
	if err := os.MkdirAll(filepath.Join(run, "bascule"), 0o700); err != nil {
		return "", fmt.Errorf("booting %s: %w", node, err)
	}
	bootID = uuid.NewString()
	if err := os.WriteFile(l.Node(node, "boot_id"), []byte(bootID+"\n"), 0o644); err != nil {
		return "", fmt.Errorf("booting %s: %w", node, err)
	}
	return bootID, nil
}

// emptyDir removes what is in a directory and keeps the directory.
func emptyDir(dir string) error {
	entries, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func randomText(bytes int) string {
	raw := make([]byte, bytes)
	_, _ = rand.Read(raw) // never fails
	return hex.EncodeToString(raw)
}

// readText is the trimmed content of a small file, or "" if there is none.
func readText(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}
