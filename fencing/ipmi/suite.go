package ipmi

import (
	"fmt"

	"github.com/bougou/go-ipmi/pkg/crypto"
	"github.com/bougou/go-ipmi/pkg/rmcpplus"
	"github.com/bougou/go-ipmi/pkg/types"

	"bascule/fencing"
)

// suite is a cipher suite: how a session is authenticated, signed and encrypted.
type suite struct {
	id        int
	auth      types.AuthAlg
	integrity types.IntegrityAlg
	crypt     types.CryptAlg
}

// The two suites that sign and encrypt with algorithms that are not broken for this use.
var (
	suite17 = suite{17, types.AuthAlg_HMAC_SHA256, types.IntegrityAlg_HMAC_SHA256_128, types.CryptAlg_AES_CBC_128}
	suite3  = suite{3, types.AuthAlg_HMAC_SHA1, types.IntegrityAlg_HMAC_SHA1_96, types.CryptAlg_AES_CBC_128}
)

// agreed says whether the controller took exactly what was proposed: it must not negotiate protection away.
func (s suite) agreed(r rmcpplus.OpenSessionResponse) bool {
	return r.AuthAlg == uint8(s.auth) && r.IntegrityAlg == uint8(s.integrity) && r.CryptAlg == uint8(s.crypt)
}

// sessionKeys sign and encrypt the packets of one session.
type sessionKeys struct {
	suite  suite
	k1, k2 []byte // signing, encryption
}

// sign appends the session trailer and the integrity code to a packet.
func (k sessionKeys) sign(p []byte) ([]byte, error) {
	pad := types.IntegrityPadLen(headerLen-rmcpLen, len(p)-headerLen)
	for range pad {
		p = append(p, 0xff)
	}
	p = append(p, byte(pad), nextHeader)
	code, err := crypto.SessionIntegrityAuthCode(k.suite.integrity, p[rmcpLen:], k.k1, "")
	if err != nil {
		return nil, fmt.Errorf("%w: signing: %w", fencing.ErrHelper, err)
	}
	return append(p, code...), nil
}

// signed says whether a packet carries this session's integrity code. The code is taken from the packet's end, not from
// behind its padding, which some firmwares count wrong: all the same every byte before it is covered.
func (k sessionKeys) signed(p []byte) bool {
	n, ok := crypto.IntegrityAuthCodeLen(k.suite.integrity)
	if !ok || n == 0 || len(p) < headerLen+n {
		return false
	}
	want, err := crypto.SessionIntegrityAuthCode(k.suite.integrity, p[rmcpLen:len(p)-n], k.k1, "")
	return err == nil && crypto.Equal(want, p[len(p)-n:])
}

// encrypt puts a random vector in front, as decrypt expects it.
func (k sessionKeys) encrypt(plain []byte) ([]byte, error) {
	out, err := crypto.EncryptAESPayload(plain, k.k2, crypto.RandomBytes(blockLen))
	if err != nil {
		return nil, fmt.Errorf("%w: encrypting: %w", fencing.ErrHelper, err)
	}
	return out, nil
}

func (k sessionKeys) decrypt(payload []byte) ([]byte, error) {
	if len(payload) < 2*blockLen || len(payload)%blockLen != 0 {
		return nil, fmt.Errorf("%w: an encrypted payload of %d bytes", fencing.ErrRubbish, len(payload))
	}
	plain, err := crypto.DecryptAESPayload(payload, k.k2)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", fencing.ErrRubbish, err)
	}
	return plain, nil
}
