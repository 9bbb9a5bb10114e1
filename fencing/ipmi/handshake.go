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

// maxHandshakes bounds how often a session is begun anew when the controller lost track of one: no oftener, because a
// refused login may count towards a lock.
const maxHandshakes = 2

// stale: the controller refuses what it had agreed to a message ago. A retransmission can do that: some make new random
// numbers for it and then refuse what was computed from the old ones. It is this error if it does so again.
type stale struct{ error }

func (s stale) Unwrap() error { return s.error }

// errProof: what the controller computed from the shared secret is not what we did.
var errProof = errors.New("it does not prove that it knows the password")

// login is what a session is opened with.
type login struct {
	user, password string
	privilege      types.PrivilegeLevel
	suites         []suite
}

// connect opens a session (IPMI 2.0, 13.15). Get Channel Authentication Capabilities is left out: it tells nothing that
// the answers to the handshake itself do not tell, and they are authenticated.
func connect(l *link, who login) (*session, error) {
	var err error
	for try := range maxHandshakes {
		l.firstWait = firstWait << try // if the controller is slow, fewer retransmissions
		last := try == maxHandshakes-1
		h := &handshake{l: l, last: last, login: who, kuid: crypto.PadPassword20([]byte(who.password))}
		for _, step := range []func() error{h.openSession, h.rakp1, h.rakp3} {
			if err = step(); err != nil {
				break
			}
		}
		if err == nil {
			return &session{l: l, keys: h.keys, console: h.console, bmc: h.bmc, guid: h.guid}, nil
		}
		if again := (stale{}); !errors.As(err, &again) {
			break
		}
	}
	return nil, err
}

// handshake is a session that is being opened.
type handshake struct {
	l    *link
	last bool // nothing is begun anew after this one
	login
	kuid         []byte // the password, padded
	suite        suite
	console, bmc uint32 // session ids of both sides
	random       [16]byte
	bmcRandom    [16]byte
	guid         [16]byte // the system GUID, as the controller signs it
	role         uint8
	keys         sessionKeys
}

// ask sends one message of the handshake and returns the payload that answers it: of the kind that follows the message's,
// for this tag and this session. Whatever else belongs to a handshake is a late answer to something earlier.
// Without again it is sent once only, and silence means that the session has to be begun anew.
func (h *handshake) ask(kind types.PayloadType, message []byte, again bool) (payload []byte, err error) {
	out := build(kind, 0, 0, 0, message)
	err = h.l.exchange(
		func(try int) ([][]byte, error) {
			if try > 0 && !again {
				return nil, stale{fmt.Errorf("%w: it does not end the login", fencing.ErrTimeout)}
			}
			return [][]byte{out}, nil
		},
		func(in []byte) (bool, error) {
			p, err := parse(in)
			if err != nil {
				return false, err
			}
			if p.kind != kind+1 || len(p.payload) < 8 || p.payload[0] != message[0] || !h.forUs(p.payload) {
				return false, nil
			}
			payload = append([]byte(nil), p.payload...)
			return true, nil
		})
	return payload, err
}

// forUs says whether a handshake message carries our session id, which nobody can guess who does not see our packets. An
// error may carry none (the controller does not know the session).
func (h *handshake) forUs(payload []byte) bool {
	id := binary.LittleEndian.Uint32(payload[4:8])
	return id == h.console || id == 0 && payload[1] != 0
}

// rakp1 exchanges random numbers. With its answer the controller proves that it knows the password; it comes before ours,
// so that a wrong password is noticed here, without counting as a failed login.
func (h *handshake) rakp1() error {
	h.random = [16]byte(crypto.RandomBytes(16))
	m := rmcpplus.RAKPMessage1{
		MessageTag: 0x21, ManagedSystemSessionID: h.bmc, RemoteConsoleRandomNumber: h.random, NameOnlyLookup: true,
		RequestedMaximumPrivilegeLevel: h.privilege, UsernameLength: uint8(len(h.user)), Username: []byte(h.user),
	}
	h.role = m.Role()
	payload, err := h.ask(types.PayloadTypeRAKPMessage1, m.Pack(), true)
	if err != nil {
		return err
	}
	if err = h.readRakp2(payload); errors.Is(err, errProof) {
		h.abandon()
		return fmt.Errorf("%w: the controller knows %q with another password, or does not know it", fencing.ErrAuth, h.user)
	}
	return err
}

// readRakp2 takes the controller's random number and GUID, and checks its proof: errProof if that is wrong.
func (h *handshake) readRakp2(payload []byte) error {
	r := rmcpplus.RAKPMessage2{AuthAlg: h.suite.auth}
	if err := r.Unpack(payload); err != nil {
		return fmt.Errorf("%w: its second message of the login: %w", fencing.ErrRubbish, err)
	}
	if r.RmcpStatusCode != types.RmcpStatusCodeNoErrors {
		return h.refusedLogin(r.RmcpStatusCode)
	}
	h.bmcRandom, h.guid = r.ManagedSystemRandomNumber, r.ManagedSystemGUID
	want, err := crypto.RAKP2AuthCode(h.suite.auth, h.console, h.bmc, h.random[:], h.bmcRandom[:], h.guid[:], h.role, h.user, h.kuid)
	if err != nil {
		return fmt.Errorf("%w: %w", fencing.ErrHelper, err)
	}
	if !crypto.Equal(want, r.KeyExchangeAuthenticationCode) {
		return errProof
	}
	return nil
}

// rakp3 proves that we know the password, and checks that the controller has computed the same keys. It is not sent a
// second time: if only the answer was lost, the controller has ended this login and is silent about it from then on.
func (h *handshake) rakp3() error {
	code, err := crypto.RAKP3AuthCode(h.suite.auth, h.bmcRandom[:], h.console, h.role, h.user, h.kuid)
	if err != nil {
		return fmt.Errorf("%w: %w", fencing.ErrHelper, err)
	}
	sik, k1, k2, err := crypto.DeriveSessionKeys(h.suite.auth, h.random[:], h.bmcRandom[:], h.role, h.user, h.kuid)
	if err != nil {
		return fmt.Errorf("%w: %w", fencing.ErrHelper, err)
	}
	m := rmcpplus.RAKPMessage3{MessageTag: 0x31, ManagedSystemSessionID: h.bmc, KeyExchangeAuthenticationCode: code}
	payload, err := h.ask(types.PayloadTypeRAKPMessage3, m.Pack(), h.last)
	if err != nil {
		return err
	}
	if err = h.readRakp4(payload, sik); errors.Is(err, errProof) {
		return fmt.Errorf("%w: the controller uses a second key besides the password: clear its BMC key (Kg)", fencing.ErrAuth)
	}
	h.keys = sessionKeys{suite: h.suite, k1: k1, k2: k2}
	return err
}

// readRakp4 checks that the controller has the same session key: errProof if it has not.
func (h *handshake) readRakp4(payload, sik []byte) error {
	r := rmcpplus.RAKPMessage4{AuthAlg: h.suite.auth}
	if err := r.Unpack(payload); err != nil {
		return fmt.Errorf("%w: its last message of the login: %w", fencing.ErrRubbish, err)
	}
	switch r.RmcpStatusCode {
	case types.RmcpStatusCodeNoErrors:
	case types.RmcpStatusCodeInvalidIntegrityCheckValue, types.RmcpStatusCodeUnauthorizedName:
		return stale{h.refusedLogin(r.RmcpStatusCode)} // it knew name and password a message ago
	default:
		return h.refusedLogin(r.RmcpStatusCode)
	}
	want, err := crypto.RAKP4ICV(h.suite.auth, h.random[:], h.bmc, h.guid[:], sik)
	if err != nil {
		return fmt.Errorf("%w: %w", fencing.ErrHelper, err)
	}
	if !crypto.Equal(want, r.IntegrityCheckValue) {
		return errProof
	}
	return nil
}

// abandon tells the controller that the login is given up, so that it frees the place. No answer is awaited.
func (h *handshake) abandon() {
	m := rmcpplus.RAKPMessage3{MessageTag: 0x32, RmcpStatusCode: types.RmcpStatusCodeInvalidIntegrityCheckValue, ManagedSystemSessionID: h.bmc}
	h.l.send(build(types.PayloadTypeRAKPMessage3, 0, 0, 0, m.Pack()))
}
