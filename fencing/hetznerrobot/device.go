package hetznerrobot

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"bascule/fencing"
)

// device is one server behind the service.
type device struct {
	s       settings
	account *account
	asked   digest // password of the command that another process was last allowed to send; one at a time, as the executor sees to
}

// Read asks for the server's reset options: credentials, number, address and type are as the settings say.
func (d *device) Read(ctx context.Context) error {
	return d.session(ctx, d.ready)
}

// Reset has the server reset. It looks first whether the number still is the server that is meant; only the POST itself can have an
// effect, so that only its errors are marked by fencing.Perhaps.
func (d *device) Reset(ctx context.Context) error {
	return d.session(ctx, func(c *client) error {
		if err := d.ready(c); err != nil {
			return err
		}
		got, err := c.do(http.MethodPost, url.Values{"type": {d.s.kind}})
		if err != nil {
			return err
		}
		if did := got.one(); did != d.s.kind || got.Number != 0 && got.Number != d.s.number {
			return fencing.Perhaps(fmt.Errorf("%w: asked for a reset %q of server %d it answers with %q of server %d",
				fencing.ErrRubbish, d.s.kind, d.s.number, fencing.Printable(did, 20), got.Number))
		}
		return nil
	})
}

// ready says why a reset would not work now.
func (d *device) ready(c *client) error {
	got, err := c.do(http.MethodGet, nil)
	if err != nil {
		return err
	}
	if got.Number != d.s.number {
		return fmt.Errorf("%w: asked for server %d it answers about server %d", fencing.ErrRubbish, d.s.number, got.Number)
	}
	if !d.isMain(got.IP) && !d.isMain(got.IPv6) {
		return fmt.Errorf("%w: server %d has the address %q, the setting server_ip says %s; nothing is reset", fencing.ErrWrongMachine, d.s.number,
			fencing.Printable(got.IP+" "+got.IPv6, 80), d.s.ip)
	}
	if offered := got.many(); !slices.Contains(offered, d.s.kind) {
		return fmt.Errorf("%w: server %d offers no reset %q, only %q", fencing.ErrRefused, d.s.number, d.s.kind, fencing.Printable(strings.Join(offered, ", "), 60))
	}
	return nil
}

func (d *device) isMain(shown string) bool {
	a, err := netip.ParseAddr(shown)
	return err == nil && a == d.s.ip
}

// session runs one command with a connection of its own, if the account may log in now.
func (d *device) session(ctx context.Context, f func(*client) error) error {
	password, err := fencing.ReadSecret("password_file", d.s.passwordFile)
	if err != nil {
		return err
	}
	leave, err := d.account.enter(ctx, password)
	if err != nil {
		return err
	}
	c, err := newClient(ctx, d.s, password)
	if err == nil {
		err = f(c)
		c.close()
	}
	leave(err)
	return err
}

// MayAsk implements fencing.Cautious.
func (d *device) MayAsk() error {
	d.asked = digest{}
	password, err := fencing.ReadSecret("password_file", d.s.passwordFile)
	if err != nil {
		return err
	}
	sum := digest(sha256.Sum256([]byte(password)))
	if _, err := d.account.known(sum); err != nil {
		return err
	}
	d.asked = sum
	return nil
}

// Heard implements fencing.Cautious. What another process heard of a password is as good as what this one hears.
func (d *device) Heard(err error) {
	if d.asked != (digest{}) {
		d.account.learn(d.asked, err)
	}
}
