package ipmi

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/bougou/go-ipmi/pkg/crypto"
	"github.com/bougou/go-ipmi/pkg/rmcpplus"
	"github.com/bougou/go-ipmi/pkg/types"

	"bascule/fencing"
)

// proposal is an Open Session Request for one cipher suite.
type proposal struct {
	suite   suite
	tag     uint8
	console uint32
	refused bool
}

// openSession proposes the cipher suites in order. The next one joins in as soon as an earlier one is refused, or is not
// answered in firstWait (some controllers are silent about a suite that they do not know); whichever the controller
// takes first is used. So an unknown suite costs little of the time that there is.
func (h *handshake) openSession() error {
	o := &opening{h: h, active: 1}
	for i, s := range h.suites {
		id := binary.LittleEndian.Uint32(crypto.RandomBytes(4)) | 1 // 0 means none
		o.proposals = append(o.proposals, &proposal{suite: s, tag: 0x11 + uint8(i), console: id})
	}
	err := h.l.exchange(o.packets, o.take)
	if errors.Is(err, fencing.ErrTimeout) && o.busy {
		return fmt.Errorf("%w: all its sessions are in use", fencing.ErrTimeout)
	}
	return err
}

// opening is the state of openSession.
type opening struct {
	h         *handshake
	proposals []*proposal
	active    int  // how many of the proposals are made
	fresh     int  // how many of the active ones have been sent
	busy      bool // the controller had no place for a session
}

// packets are the proposals to send now: after a refusal only the one that joined in, after silence all that are open.
func (o *opening) packets(try int) ([][]byte, error) {
	if try > 0 && o.fresh == o.active {
		o.active, o.fresh = min(o.active+1, len(o.proposals)), 0
	}
	var out [][]byte
	for _, p := range o.proposals[o.fresh:o.active] {
		if p.refused {
			continue
		}
		m := rmcpplus.OpenSessionRequest{MessageTag: p.tag, RemoteConsoleSessionID: p.console} // privilege 0: the highest that the suite allows
		m.AuthenticationPayload, m.IntegrityPayload, m.ConfidentialityPayload = rmcpplus.NewAlgorithmPayloads(p.suite.auth, p.suite.integrity, p.suite.crypt)
		out = append(out, build(types.PayloadTypeRmcpOpenSessionRequest, 0, 0, 0, m.Pack()))
	}
	o.fresh = o.active
	return out, nil
}

func (o *opening) take(in []byte) (bool, error) {
	p, err := parse(in)
	if err != nil {
		return false, err
	}
	if p.kind != types.PayloadTypeRmcpOpenSessionResponse {
		return false, nil
	}
	for _, made := range o.proposals[:o.active] {
		if len(p.payload) < 2 || p.payload[0] != made.tag || made.refused {
			continue
		}
		if status := types.RmcpStatusCode(p.payload[1]); status != types.RmcpStatusCodeNoErrors && len(p.payload) < rmcpplus.OpenSessionResponseMinSize {
			return o.declined(made, status) // some leave everything out that comes after the status
		}
		var r rmcpplus.OpenSessionResponse
		if err := r.Unpack(p.payload); err != nil {
			return false, fmt.Errorf("%w: its answer to the opening of a session: %w", fencing.ErrRubbish, err)
		}
		if r.RemoteConsoleSessionID == made.console {
			return o.answered(made, r)
		}
	}
	return false, nil // an answer to something else
}

func (o *opening) answered(made *proposal, r rmcpplus.OpenSessionResponse) (bool, error) {
	if r.RmcpStatusCode != types.RmcpStatusCodeNoErrors {
		return o.declined(made, r.RmcpStatusCode)
	}
	if !made.suite.agreed(r) || r.ManagedSystemSessionID == 0 {
		return false, fmt.Errorf("%w: asked for cipher suite %d it wants other algorithms (%d, %d, %d)", fencing.ErrRubbish, made.suite.id, r.AuthAlg, r.IntegrityAlg, r.CryptAlg)
	}
	o.h.suite, o.h.console, o.h.bmc = made.suite, made.console, r.ManagedSystemSessionID
	return true, nil
}

func (o *opening) declined(made *proposal, status types.RmcpStatusCode) (bool, error) {
	if status == types.RmcpStatusCodeNoResToCreateSess || status == types.RmcpStatusCodeNoResToCreateSessAtRole {
		o.busy = true // asked again in a while
		return false, nil
	}
	made.refused = true
	if o.active < len(o.proposals) {
		o.active++
		return false, errAgain
	}
	for _, other := range o.proposals {
		if !other.refused {
			return false, nil // it is on its way
		}
	}
	return false, fmt.Errorf("%w: it takes none of the cipher suites %s (%s): enable suite 17 or 3 on it", fencing.ErrRefused, o.h.suiteNames(), status)
}

func (h *handshake) suiteNames() string {
	names := ""
	for i, s := range h.suites {
		if i > 0 {
			names += ", "
		}
		names += fmt.Sprint(s.id)
	}
	return names
}
