package hetznerrobot

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"bascule/fencing"
)

// lockWait is how long a password that was not accepted is not tried again. The service counts three wrong log-ins and blocks the
// address for 10 minutes; one in a quarter of an hour never adds up.
const lockWait = 15 * time.Minute

// accounts are the accounts of this process, by service and user.
type accounts struct {
	now func() time.Time
	mu  sync.Mutex
	by  map[[2]string]*account
}

// known are the accounts that this process has met.
var known = newAccounts()

func newAccounts() *accounts {
	return &accounts{now: time.Now, by: map[[2]string]*account{}}
}

// open makes a device.
func (a *accounts) open(raw map[string]string) (fencing.ResetDevice, error) {
	s, err := parse(raw)
	if err != nil {
		return nil, err
	}
	return &device{s: s, account: a.of(s.address, s.user)}, nil
}

func (a *accounts) of(address, user string) *account {
	a.mu.Lock()
	defer a.mu.Unlock()
	k := [2]string{address, user}
	if a.by[k] == nil {
		a.by[k] = &account{now: a.now, user: user, trial: make(chan struct{}, 1)}
	}
	return a.by[k]
}

// digest tells passwords apart without keeping them.
type digest [sha256.Size]byte

// account is what is known of one user's password. Several devices share it.
type account struct {
	now   func() time.Time
	user  string
	trial chan struct{} // held by whoever tries a password of which nothing is known

	mu      sync.Mutex
	good    digest // accepted last; zero: none
	wrong   digest // not accepted last; zero: none
	wrongAt time.Time
}

// enter lets a log-in with this password pass, or says why not. Passwords of which nothing is known are tried by one at a time:
// three devices with the same wrong password would block the address at once. leave is told what came of it.
func (a *account) enter(ctx context.Context, password string) (leave func(error), err error) {
	d := digest(sha256.Sum256([]byte(password)))
	if known, err := a.known(d); err != nil {
		return nil, err
	} else if known {
		return func(err error) { a.learn(d, err) }, nil
	}
	select {
	case a.trial <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: another device of the same user still tries whether its password is accepted", fencing.ErrTimeout)
	}
	if _, err := a.known(d); err != nil {
		<-a.trial
		return nil, err
	}
	return func(err error) {
		a.learn(d, err)
		<-a.trial
	}, nil
}

// known says whether a password was accepted before; the error says that it was not, and may not be tried yet.
func (a *account) known(d digest) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if left := lockWait - a.now().Sub(a.wrongAt); d == a.wrong && left > 0 {
		return false, fmt.Errorf("%w: the service did not accept the password of %s; it is not tried again for %v, or until password_file holds another one, because three wrong log-ins block this machine's address for 10 minutes",
			fencing.ErrAuth, fencing.Printable(a.user, 60), left.Round(time.Minute))
	}
	return d == a.good, nil
}

// learn notes what came of a log-in. Only the service's own word about the password changes what is known of it.
func (a *account) learn(d digest, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case err == nil:
		a.good = d
		if a.wrong == d {
			a.wrong = digest{}
		}
	case errors.Is(err, fencing.ErrAuth):
		a.wrong, a.wrongAt = d, a.now()
		if a.good == d {
			a.good = digest{}
		}
	}
}
