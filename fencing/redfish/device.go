package redfish

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/stmcginnis/gofish"

	"bascule/fencing"
	"bascule/ha"
)

// logoutTime bounds the end of a session, which happens even when the command's own time is up: controllers have only
// a handful of sessions.
const logoutTime = time.Second

// The two reset types that are ever sent.
const (
	resetOff = "ForceOff"
	resetOn  = "On"
)

// device is one ComputerSystem behind a controller.
type device struct{ s settings }

// Read asks for PowerState and UUID. A state other than On, Off, PoweringOn and PoweringOff, or none, is ha.PowerUnknown.
func (d *device) Read(ctx context.Context) (fencing.Reading, error) {
	r := fencing.Reading{Power: ha.PowerUnknown}
	err := d.command(ctx, func(c *gofish.APIClient) error {
		sys, err := fetchSystem(c, d.s.system)
		if err != nil {
			return err
		}
		r = fencing.Reading{Power: sys.power(), SystemUUID: sys.UUID}
		return nil
	})
	return r, err
}

// Off sends ForceOff.
func (d *device) Off(ctx context.Context) error { return d.reset(ctx, resetOff, ha.PowerOff) }

// On sends On.
func (d *device) On(ctx context.Context) error { return d.reset(ctx, resetOn, ha.PowerOn) }

// reset always sends the command, whatever the machine's state reads before: that may be stale. Only where the
// controller refuses and the state was the wanted one already is the refusal taken as "there is nothing to do" (iDRAC
// answers 409 then).
func (d *device) reset(ctx context.Context, kind string, goal ha.Power) error {
	return d.command(ctx, func(c *gofish.APIClient) error {
		sys, err := fetchSystem(c, d.s.system)
		if err != nil {
			return err
		}
		if d.s.uuid != "" && !ha.SameUUID(d.s.uuid, sys.UUID) {
			return fmt.Errorf("%w: it shows the system UUID %q, the settings say %q; nothing was sent", fencing.ErrWrongMachine, sys.UUID, d.s.uuid)
		}
		target, offered, err := sys.resetAction()
		if err != nil {
			return err
		}
		if len(offered) > 0 && !slices.Contains(offered, kind) {
			return fmt.Errorf("%w: it offers no %s, only %s", fencing.ErrRefused, kind, strings.Join(offered, ", "))
		}
		resp, err := c.Post(target, map[string]string{"ResetType": kind})
		if err == nil {
			return resp.Body.Close()
		}
		if status := statusOf(err); sys.power() == goal && (status == http.StatusBadRequest || status == http.StatusConflict) {
			return nil
		}
		return err
	})
}

// command runs f with a connection of its own and closes it.
func (d *device) command(ctx context.Context, f func(*gofish.APIClient) error) error {
	password, err := fencing.ReadSecret("password_file", d.s.passwordFile)
	if err != nil {
		return err
	}
	tr, err := newTransport(ctx, d.s)
	if err != nil {
		return err
	}
	defer tr.CloseIdleConnections()
	c, err := gofish.ConnectContext(ctx, gofish.ClientConfig{
		Endpoint: d.s.endpoint, Username: d.s.user, Password: password, BasicAuth: !d.s.session,
		HTTPClient:       &http.Client{Transport: bounded{tr}, CheckRedirect: sameHost},
		ReuseConnections: true, NoModifyTransport: true,
	})
	if err == nil && d.s.session {
		defer logout(ctx, c)
		err = checkSession(c)
	}
	if err == nil {
		err = f(c)
	}
	return translate(ctx, err, fencing.Scrubber(d.s.user, password))
}

func checkSession(c *gofish.APIClient) error {
	if s, err := c.GetSession(); err != nil || s.Token == "" {
		return fmt.Errorf("%w: it opened a session without a token or a place: write auth: basic", fencing.ErrRubbish)
	}
	return nil
}

func logout(ctx context.Context, c *gofish.APIClient) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), logoutTime)
	defer cancel()
	c.WithContext(ctx).Logout()
}
