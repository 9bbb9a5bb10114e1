package scsipr

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"

	"bascule/fencing"
)

// View is what an operator sees of one LUN.
type View struct {
	LUN         string
	Registrants []Registrant
	Held        bool
	Type        byte // of the reservation; 5 is the one that fencing needs
	Holder      Key
	Problem     error // nil: the rest is so, as read just now
}

// Registrant is one registration. Port and Target are empty where the target does not tell.
type Registrant struct {
	Key    Key
	Ours   bool   // carries Bascule's mark
	Port   string // the initiator's
	Target string // the target's port
}

// Survey reads every LUN of a device's settings: who is registered, and what the reservation is. It changes nothing.
func Survey(ctx context.Context, raw map[string]string) ([]View, error) {
	s, err := parse(raw)
	if err != nil {
		return nil, err
	}
	return survey(ctx, s, connect), nil
}

func survey(ctx context.Context, s settings, connect connector) []View {
	as := port{name: (&Device{s: s}).initiator()}
	views := make([]View, len(s.luns))
	eachLUN(s.luns, func(i int, l lun) error {
		v := View{LUN: l.name}
		v.Problem = l.onPaths(ctx, connect, as, func(ctx context.Context, t transport, _ path) error {
			p, err := look(ctx, t)
			if err != nil {
				return err
			}
			v.Held, v.Type, v.Holder = p.reservation.held, p.reservation.typ, p.reservation.key
			v.Registrants, err = registrants(ctx, t, p)
			return err
		})
		views[i] = v
		return nil
	})
	return views
}

// Support asks the LUN of a block device of this node's whether it knows what fencing needs, with keeping over a power loss or without: nil if
// nothing speaks against it, an error that wraps fencing.ErrUnsupported if it says no, another one if it could not be asked. It changes nothing.
func Support(ctx context.Context, device string) error {
	l := lun{name: device, paths: []path{{name: device, file: device}}}
	return l.supported(ctx, connect, port{}, false)
}

// registrants asks for the full status and is content with the keys where the target does not know it.
func registrants(ctx context.Context, t transport, p picture) (out []Registrant, err error) {
	b, err := send(ctx, t, reserveIn(inFullStatus, firstAnswer), nil, firstAnswer)
	if unknownCommand(err) {
		for _, k := range p.keys {
			out = append(out, Registrant{Key: k, Ours: k.ours()})
		}
		return out, nil
	}
	if err != nil {
		return nil, fmt.Errorf("READ FULL STATUS: %w", err)
	}
	full, err := decodeFullStatus(b)
	for _, r := range full {
		target := fmt.Sprintf("port %d", r.port)
		if r.all {
			target = "all ports"
		}
		out = append(out, Registrant{Key: r.key, Ours: r.key.ours(), Port: initiatorPort(r.who), Target: target})
	}
	return out, err
}

// initiatorPort says a TransportID in words: iSCSI names are text, the others numbers.
func initiatorPort(id []byte) string {
	if len(id) > 4 && id[0]&0x0f == 5 {
		name, _, _ := bytes.Cut(id[4:], []byte{0})
		return fencing.Printable(string(name), 250)
	}
	return hex.EncodeToString(bytes.TrimRight(id, "\x00"))
}
