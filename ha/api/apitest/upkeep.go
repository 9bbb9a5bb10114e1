package apitest

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"

	"bascule/ha"
	"bascule/ha/api"
)

// SetSnapshot says what a copy of the store holds.
func (f *Fake) SetSnapshot(copy []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.snapshot = copy
}

// GossipKeys implements api.Backend.
func (f *Fake) GossipKeys() api.GossipKeys {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := api.GossipKeys{Node: f.view.Self}
	for _, k := range f.gossipKeys {
		raw, _ := base64.StdEncoding.DecodeString(k)
		sum := sha256.Sum256(raw)
		out.Keys = append(out.Keys, hex.EncodeToString(sum[:4]))
	}
	return out
}

// SetGossipKeys implements api.Backend.
func (f *Fake) SetGossipKeys(keys []string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return f.fail
	}
	if f.keysFail != nil && f.keysLeft == 0 {
		return f.keysFail
	}
	f.keysLeft--
	if len(keys) == 0 {
		return errors.New("no key")
	}
	f.gossipKeys = slices.Clone(keys)
	f.gossipHistory = append(f.gossipHistory, f.gossipKeys)
	return nil
}

// GossipHistory returns every list of keys that was set.
func (f *Fake) GossipHistory() [][]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.gossipHistory)
}

// SignCertificate implements api.Backend.
func (f *Fake) SignCertificate(asker *x509.Certificate, request []byte) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.sign == nil {
		return nil, errors.New("this fake has no authority")
	}
	return f.sign(asker, request)
}

// OnSign says what becomes of requests for a certificate.
func (f *Fake) OnSign(sign func(asker *x509.Certificate, request []byte) ([]byte, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sign = sign
}

// Authority implements api.Backend.
func (f *Fake) Authority() (api.Authority, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.authority == nil {
		return api.Authority{}, errors.New("this fake trusts nobody")
	}
	return f.authority()
}

// SetAuthority implements api.Backend. Calls beyond FailAfter's count fail.
func (f *Fake) SetAuthority(_ context.Context, _ *x509.Certificate, pem []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.keysFail != nil && f.keysLeft == 0 {
		return f.keysFail
	}
	f.keysLeft--
	if f.busy {
		f.busy = false
		return fmt.Errorf("%w: the other voters are not well", ha.ErrUnavailable)
	}
	if f.setAuthority == nil {
		return errors.New("this fake trusts nobody")
	}
	return f.setAuthority(pem)
}

// BusyOnce lets the next SetAuthority say that the store would not stand it now.
func (f *Fake) BusyOnce() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.busy = true
}

// OnAuthority says whom the fake trusts, and what becomes of other authorities.
func (f *Fake) OnAuthority(get func() (api.Authority, error), set func([]byte) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.authority, f.setAuthority = get, set
}

// Snapshot implements api.Backend: half a copy and then the failure, if it is to fail.
func (f *Fake) Snapshot(_ context.Context, w io.Writer) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		_, _ = w.Write(f.snapshot[:len(f.snapshot)/2])
		return f.fail
	}
	_, err := w.Write(f.snapshot)
	return err
}

// FailAfter lets SetGossipKeys and SetAuthority fail with err after n more successes; nil heals.
func (f *Fake) FailAfter(n int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keysLeft, f.keysFail = n, err
}
