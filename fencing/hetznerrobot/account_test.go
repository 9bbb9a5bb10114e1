package hetznerrobot

import (
	"context"
	"errors"
	"testing"
	"time"

	"bascule/fencing"
)

// newAccount is an account under a clock of the test's.
func newAccount(now *time.Time) *account {
	as := newAccounts()
	as.now = func() time.Time { return *now }
	return as.of("https://robot", "u")
}

func TestAWrongPasswordWaits(t *testing.T) {
	now := time.Unix(1e9, 0)
	a := newAccount(&now)
	try := func(p string, result error) error {
		leave, err := a.enter(t.Context(), p)
		if err == nil {
			leave(result)
		}
		return err
	}
	if err := try("p", fencing.ErrAuth); err != nil {
		t.Fatal(err)
	}
	now = now.Add(lockWait - time.Second)
	if err := try("p", nil); !errors.Is(err, fencing.ErrAuth) {
		t.Fatalf("tried again a second too early: %v", err)
	}
	if err := try("q", fencing.ErrTimeout); err != nil {
		t.Fatalf("another password: %v", err)
	}
	now = now.Add(time.Second)
	if err := try("p", nil); err != nil {
		t.Fatalf("never tried again: %v", err)
	}
	if err := try("p", fencing.ErrUnreachable); err != nil {
		t.Fatal(err)
	}
	if known, err := a.known(a.good); !known || err != nil || a.good == (digest{}) {
		t.Fatal("a lost connection says nothing about a password that was accepted")
	}
	if err := try("p", fencing.ErrAuth); err != nil { // it was changed at the service
		t.Fatal(err)
	}
	if err := try("p", nil); !errors.Is(err, fencing.ErrAuth) {
		t.Fatal("tried again although it is not accepted any more")
	}
}

func TestAnAcceptedPasswordHoldsUpNobody(t *testing.T) {
	now := time.Unix(1e9, 0)
	a := newAccount(&now)
	leave, err := a.enter(t.Context(), "p")
	if err != nil {
		t.Fatal(err)
	}
	late, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.enter(late, "p"); !errors.Is(err, fencing.ErrTimeout) {
		t.Fatalf("two tried an unknown password side by side: %v", err)
	}
	leave(nil)
	if _, err := a.enter(late, "p"); err != nil {
		t.Fatal(err)
	}
	if _, err := a.enter(late, "p"); err != nil {
		t.Fatal(err)
	}
}

func TestAccountsAreByServiceAndUser(t *testing.T) {
	as := newAccounts()
	a := as.of("a", "u")
	if again := as.of("a", "u"); again != a || a == as.of("a", "v") || a == as.of("b", "u") {
		t.Error("mixed up")
	}
}
