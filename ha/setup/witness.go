package setup

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"bascule/config"
	"bascule/ha"
)

// witness plans the third vote: the store's on the witness, and on a site of two nodes corosync's there as well.
func (s *site) witness() {
	w := s.answers.Witness
	if w == nil {
		return
	}
	if w.Package != "" {
		s.plan.Witness = append(s.plan.Witness, RemotePackage{Witness: *w})
	}
	s.plan.Witness = append(s.plan.Witness, RemoteMember{Layout: s.layout, Witness: *w, Config: s.plan.Config, Now: s.now})
	s.choose("witness", string(w.Name), "it votes in the store and runs no guests; any small machine that is not one of the nodes does")
	switch {
	case s.facts.Corosync == nil:
	case s.facts.Corosync.Device != nil && s.facts.Corosync.Device.Host != "" && s.facts.Corosync.Device.Host != w.Address:
		s.choose("corosync's third vote", s.facts.Corosync.Device.Host, "a quorum device is there already")
	case len(s.facts.Corosync.Nodes)%2 == 0:
		s.plan.Witness = append(s.plan.Witness, QDevice{Layout: s.layout, Witness: *w})
		s.choose("corosync's third vote", string(w.Name), "with %d nodes the survivors of a loss must not stand at half the votes: /etc/pve would be read-only and nothing could be taken over", len(s.facts.Corosync.Nodes))
	}
}

// RemoteMember is a witness that runs, set up through ssh as root. Secrets travel on the standard input of ssh, never on a command line.
type RemoteMember struct {
	Layout  Layout
	Witness Witness
	Config  *config.Config
	Now     time.Time
}

// Title implements Step.
func (r RemoteMember) Title() string {
	return fmt.Sprintf("witness %s on %s: certificate, configuration, %s", r.Witness.Name, r.Witness.Host, UnitWitness)
}

// ssh runs a shell command there.
func (r RemoteMember) ssh(ctx context.Context, sys System, input []byte, command string) ([]byte, error) {
	return ssh(ctx, sys, input, r.Witness.Host, command)
}

// ssh runs a shell command on another machine as root. Nobody is asked for anything.
func ssh(ctx context.Context, sys System, input []byte, host, command string) ([]byte, error) {
	return sys.Run(ctx, input, "ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "root@"+host, command)
}

// files makes what the witness needs; a certificate that is good there already is kept.
func (r RemoteMember) files(ctx context.Context, sys System) (map[string][]byte, error) {
	cert := Certificate{Layout: Standard, Node: r.Witness.Name, Addresses: []string{r.Witness.Address}, Now: r.Now}
	common, err := sys.ReadFile(r.Layout.Common())
	if err != nil {
		return nil, err
	}
	text, _, err := Own{Node: r.Witness.Name, Witness: true, Layout: Standard}.Render(nil, common)
	if err != nil {
		return nil, err
	}
	ca, err := sys.ReadFile(r.Layout.CACert())
	if err != nil {
		return nil, err
	}
	gossip, err := sys.ReadFile(r.Layout.GossipKeys())
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{Standard.Config(): text, Standard.Local("tls/ca.pem"): ca, Standard.Local("gossip.keys"): gossip}
	havePEM, _ := r.read(ctx, sys, cert.certFile())
	haveKey, _ := r.read(ctx, sys, cert.keyFile())
	if cert.fits(havePEM, haveKey, ca) {
		files[cert.certFile()], files[cert.keyFile()] = havePEM, haveKey
		return files, nil
	}
	authority, err := loadCA(sys, r.Layout)
	if err != nil {
		return nil, err
	}
	pem, key, err := authority.Issue(cert.Node, cert.Addresses, r.Now)
	files[cert.certFile()], files[cert.keyFile()] = pem, key
	return files, err
}

// read reads a file there; nothing where there is none.
func (r RemoteMember) read(ctx context.Context, sys System, name string) ([]byte, error) {
	return r.ssh(ctx, sys, nil, "cat "+name+" 2>/dev/null || true")
}

// Done implements Step.
func (r RemoteMember) Done(ctx context.Context, sys System) (bool, error) {
	if _, err := sys.ReadFile(r.Layout.CAKey()); err != nil {
		return false, ignoreMissing(err)
	}
	if _, err := sys.ReadFile(r.Layout.Common()); err != nil {
		return false, ignoreMissing(err)
	}
	files, err := r.files(ctx, sys)
	if err != nil {
		return false, err
	}
	for name, data := range files {
		have, err := r.read(ctx, sys, name)
		if err != nil || !bytes.Equal(have, data) {
			return false, err
		}
	}
	_, err = r.ssh(ctx, sys, nil, "systemctl is-active --quiet "+UnitWitness+" && systemctl is-enabled --quiet "+UnitWitness)
	return err == nil, nil
}

// Do implements Step.
func (r RemoteMember) Do(ctx context.Context, sys System) error {
	if !hasBasculed(ctx, sys, r.Witness) {
		return fmt.Errorf("on %[1]s as root /usr/sbin/basculed was not found: run this again with --witness-package FILE, the package's file here, or install it there yourself (scp bascule_*.deb root@%[1]s: ; ssh root@%[1]s apt install ./bascule_*.deb)", r.Witness.Host)
	}
	files, err := r.files(ctx, sys)
	if err != nil {
		return err
	}
	for _, name := range sortedSet(files) {
		mode := "0600"
		if strings.HasSuffix(name, ".pem") || strings.HasSuffix(name, ".yaml") {
			mode = "0644"
		}
		command := fmt.Sprintf("umask 077; mkdir -p %s && base64 -d > %s.new && chmod %s %s.new && mv %s.new %s", path.Dir(name), name, mode, name, name, name)
		if _, err := r.ssh(ctx, sys, []byte(base64.StdEncoding.EncodeToString(files[name])), command); err != nil {
			return fmt.Errorf("%s on %s: %w", name, r.Witness.Host, err)
		}
	}
	_, err = r.ssh(ctx, sys, nil, "systemctl enable "+UnitWitness+" && systemctl restart "+UnitWitness)
	return err
}

// hasBasculed says whether the package is installed on the witness.
func hasBasculed(ctx context.Context, sys System, w Witness) bool {
	_, err := ssh(ctx, sys, nil, w.Host, "command -v /usr/sbin/basculed >/dev/null")
	return err == nil
}

// RemotePackage is the package on the witness, installed from a file that lies here. One that is there already, of whatever version, stays.
type RemotePackage struct{ Witness Witness }

// Title implements Step.
func (r RemotePackage) Title() string {
	return fmt.Sprintf("install %s on %s", r.Witness.Package, r.Witness.Host)
}

// Done implements Step.
func (r RemotePackage) Done(ctx context.Context, sys System) (bool, error) {
	return hasBasculed(ctx, sys, r.Witness), nil
}

// Do implements Step.
func (r RemotePackage) Do(ctx context.Context, sys System) error {
	deb, err := sys.ReadFile(r.Witness.Package)
	if err != nil {
		return err
	}
	const there = "/var/tmp/bascule.deb"
	_, err = ssh(ctx, sys, deb, r.Witness.Host, "umask 077; cat > "+there+" && dpkg -i "+there+"; e=$?; rm -f "+there+"; exit $e")
	return err
}

// NodeNamed checks a witness's name.
func NodeNamed(host string) (ha.NodeName, error) {
	name := ha.NodeOf(host)
	if name == "" {
		return "", errors.New("the witness does not tell its host name")
	}
	return name, nil
}
