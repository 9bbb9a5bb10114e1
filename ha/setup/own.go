package setup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"bascule/config"
	"bascule/ha"
)

// border divides a node's configuration: its own settings above, the common part below.
const border = "# ---- below this line: the common part. Change it in /etc/pve/bascule/basculed.yaml, then run on every node: hactl join --update ----"

// Own is what a node's configuration has of its own.
type Own struct {
	Node     ha.NodeName
	Watchdog WatchdogChoice
	Witness  bool // it needs neither watchdog nor Proxmox
	Layout   Layout
}

// text renders a node's own part.
func (o Own) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# basculed's configuration on %s, written by hactl. Above the line below are this node's own settings: they are yours to\n# change, and stay. What is below it is written anew by hactl join --update.\nnode: %s\n", o.Node, o.Node)
	if l := o.Layout; l != Standard {
		fmt.Fprintf(&b, "data_dir: %q\nrun_dir: %q\ntls: {ca_file: %q, cert_file: %q, key_file: %q}\n", l.Data, l.Run, l.Local("tls/ca.pem"), l.Local("tls/node.pem"), l.Local("tls/node.key"))
		fmt.Fprintf(&b, "gossip: {keyring_file: %q}\n", l.Local("gossip.keys"))
		if !o.Witness {
			fmt.Fprintf(&b, "proxmox: {token_file: %q}\n", l.Local("proxmox.token"))
		}
	}
	if !o.Witness {
		w := o.Watchdog
		fmt.Fprintf(&b, "guard:\n  watchdog:\n    driver: %s # %s\n", w.Driver, w.Why)
		if w.Device != "" {
			fmt.Fprintf(&b, "    device: %s\n", w.Device)
		}
		if w.TrustSoftdog {
			b.WriteString("  trust_softdog: true\n")
		}
	}
	return b.String()
}

// Render joins a node's own part, kept from its file where it has one, with the common part, and checks the whole. By hand says that
// the file was not written by hactl, so that nothing of it is kept.
func (o Own) Render(have, common []byte) (text []byte, byHand bool, err error) {
	own := o.text()
	if before, _, ours := strings.Cut(string(have), border); ours {
		own = strings.TrimRight(before, "\n") + "\n"
	} else {
		byHand = len(bytes.TrimSpace(have)) > 0
	}
	text = []byte(own + "\n" + border + "\n\n" + string(common))
	if _, err := config.Parse(o.Layout.Config(), text); err != nil {
		return nil, byHand, err
	}
	return text, byHand, nil
}

// OwnConfig is a node's configuration, rendered from the common part as it is then.
type OwnConfig struct{ Own Own }

// Title implements Step.
func (c OwnConfig) Title() string {
	return fmt.Sprintf("write %s (%s's configuration, from the common part)", c.Own.Layout.Config(), c.Own.Node)
}

// Want is the text that shall be there, and the one that is.
func (c OwnConfig) Want(sys System) (want, have []byte, byHand bool, err error) {
	common, err := sys.ReadFile(c.Own.Layout.Common())
	if err != nil {
		return nil, nil, false, err
	}
	have, err = sys.ReadFile(c.Own.Layout.Config())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, false, err
	}
	want, byHand, err = c.Own.Render(have, common)
	return want, have, byHand, err
}

// Done implements Step.
func (c OwnConfig) Done(_ context.Context, sys System) (bool, error) {
	if there, err := exists(sys, c.Own.Layout.Common()); err != nil || !there {
		return false, err // an earlier step writes it
	}
	want, have, _, err := c.Want(sys)
	return err == nil && bytes.Equal(want, have), err
}

// Do implements Step. A file that a person wrote is kept beside it.
func (c OwnConfig) Do(_ context.Context, sys System) error {
	want, have, byHand, err := c.Want(sys)
	if err != nil {
		return err
	}
	if byHand {
		if err := sys.WriteFile(c.Own.Layout.Config()+".by-hand", have, 0o600); err != nil {
			return err
		}
	}
	return sys.WriteFile(c.Own.Layout.Config(), want, 0o644)
}
