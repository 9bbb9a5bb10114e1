package hetznerrobot

import (
	"context"
	"encoding/base64"
	"errors"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/fencing/fencingtest"
)

func TestMain(m *testing.M) { fencingtest.Main(m, Method) }

func TestConforms(t *testing.T) {
	fencingtest.RunReset(t, fencingtest.Harness[fencingtest.Resettable]{
		Method: Method,
		New: func(t *testing.T) (fencingtest.Resettable, map[string]string) {
			b := newRobot(t)
			t.Cleanup(func() {
				b.mu.Lock()
				defer b.mu.Unlock()
				if slices.ContainsFunc(b.posts, func(p string) bool { return p != "type=hw" }) {
					t.Errorf("the service was sent %q", b.posts)
				}
			})
			return b, b.settings()
		},
		Switch:  fencingtest.Child().Switch,
		Secrets: []string{password, base64.StdEncoding.EncodeToString([]byte(user + ":" + password)), `ro\"bot/w+rd`},
	})
}

func open(t *testing.T, settings map[string]string, more ...string) fencing.ResetDevice {
	t.Helper()
	s := maps.Clone(settings)
	for i := 0; i < len(more); i += 2 {
		s[more[i]] = more[i+1]
	}
	d, err := Method.Reset(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func call(f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	return f(ctx)
}

func TestWhatTheServiceSaysOfAReset(t *testing.T) {
	for name, c := range map[string]struct {
		said    reply
		kind    error
		perhaps bool
		word    string
	}{
		"technician under way": {reply{409, `{"error":{"status":409,"code":"RESET_MANUAL_ACTIVE","message":"There is already a running manual reset"}}`}, fencing.ErrRefused, false, "technician"},
		"type not offered":     {reply{400, `{"error":{"status":400,"code":"INVALID_INPUT","message":"invalid input","missing":null,"invalid":["type"]}}`}, fencing.ErrRefused, false, "INVALID_INPUT"},
		"failed":               {reply{500, `{"error":{"status":500,"code":"RESET_FAILED","message":"Resetting failed due to an internal error"}}`}, fencing.ErrRefused, false, "internal error"},
		"request limit":        {reply{403, `{"error":{"status":403,"code":"RATE_LIMIT_EXCEEDED","max_request":50,"interval":3600,"message":"rate limit exceeded"}}`}, fencing.ErrRefused, false, "50 requests in 3600 s"},
		"forbidden":            {reply{403, `no`}, fencing.ErrRefused, false, "403"},
		"unauthorized":         {reply{401, ``}, fencing.ErrAuth, false, "401"},
		"maintenance":          {reply{503, `<html>`}, fencing.ErrTimeout, false, "maintenance"},
		"bad gateway":          {reply{502, `<html>`}, fencing.ErrTimeout, true, "502"},
		"an unknown error":     {reply{500, `{"error":{"status":500,"code":"NEW","message":"x"}}`}, fencing.ErrRefused, true, "NEW"},
		"server error":         {reply{500, `<html>`}, fencing.ErrRubbish, true, "500"},
		"accepted later":       {reply{202, `{"reset":{"server_number":321,"type":"hw"}}`}, fencing.ErrRubbish, true, "202"},
		"redirect":             {reply{302, ``}, fencing.ErrRubbish, true, "302"},
		"empty":                {reply{200, ``}, fencing.ErrRubbish, true, "200"},
		"nothing of a reset":   {reply{200, `{}`}, fencing.ErrRubbish, true, "200"},
		"another reset":        {reply{200, `{"reset":{"server_number":321,"type":"sw"}}`}, fencing.ErrRubbish, true, `"sw"`},
		"another server":       {reply{200, `{"reset":{"server_number":421,"type":"hw"}}`}, fencing.ErrRubbish, true, "421"},
		"no type":              {reply{200, `{"reset":{"server_number":321}}`}, fencing.ErrRubbish, true, "321"},
		"an error with 200":    {reply{200, `{"error":{"code":"RESET_FAILED"}}`}, fencing.ErrRubbish, true, "200"},
		"both":                 {reply{200, `{"error":{"code":"X"},"reset":{"server_number":321,"type":"hw"}}`}, fencing.ErrRubbish, true, "200"},
		"without its number":   {reply{200, `{"reset":{"server_ip":"203.0.113.21","type":"hw"}}`}, nil, false, ""}, // as the documentation's example
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newRobot(t)
			b.said = &c.said
			err := call(open(t, b.settings()).Reset)
			if c.kind == nil {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if !errors.Is(err, c.kind) || fencing.MayHaveWorked(err) != c.perhaps || !strings.Contains(err.Error(), c.word) {
				t.Fatalf("%v (may have worked: %v), want %v, %v, %q", err, fencing.MayHaveWorked(err), c.kind, c.perhaps, c.word)
			}
		})
	}
}

func TestNothingIsResetUnlessTheServerIsTheOne(t *testing.T) {
	const hw = `"type":["hw"]`
	for name, c := range map[string]struct {
		looked reply
		kind   error
	}{
		"another number":     {reply{200, `{"reset":{"server_ip":"203.0.113.21","server_number":421,` + hw + `}}`}, fencing.ErrRubbish},
		"another address":    {reply{200, `{"reset":{"server_ip":"203.0.113.22","server_number":321,` + hw + `}}`}, fencing.ErrWrongMachine},
		"no address":         {reply{200, `{"reset":{"server_ip":null,"server_number":321,` + hw + `}}`}, fencing.ErrWrongMachine},
		"no hard reset":      {reply{200, `{"reset":{"server_ip":"203.0.113.21","server_number":321,"type":["sw","man"]}}`}, fencing.ErrRefused},
		"one type":           {reply{200, `{"reset":{"server_ip":"203.0.113.21","server_number":321,"type":"hw"}}`}, fencing.ErrRefused},
		"unknown server":     {reply{404, `{"error":{"status":404,"code":"SERVER_NOT_FOUND","message":"Server not found"}}`}, fencing.ErrSettings},
		"request limit":      {reply{403, `{"error":{"status":403,"code":"RATE_LIMIT_EXCEEDED","max_request":500,"interval":3600,"message":"rate limit exceeded"}}`}, fencing.ErrRefused},
		"maintenance":        {reply{503, ``}, fencing.ErrTimeout},
		"a list":             {reply{200, `[{"reset":{}}]`}, fencing.ErrRubbish},
		"too long an answer": {reply{200, `{"reset":"` + strings.Repeat("x", 2*maxBody)}, fencing.ErrRubbish},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newRobot(t)
			b.looked = &c.looked
			d := open(t, b.settings())
			for _, f := range []func(context.Context) error{d.Read, d.Reset} {
				if err := call(f); !errors.Is(err, c.kind) || fencing.MayHaveWorked(err) {
					t.Errorf("%v, want %v", err, c.kind)
				}
			}
			if len(b.posts) != 0 {
				t.Errorf("the service was sent %q", b.posts)
			}
		})
	}
}

func TestTheMainAddressMayBeOfEitherFamily(t *testing.T) {
	b := newRobot(t)
	for _, ip := range []string{"203.0.113.21", "2001:db8:321::", "2001:0db8:0321:0::"} {
		if err := call(open(t, b.settings(), "server_ip", ip).Read); err != nil {
			t.Errorf("%s: %v", ip, err)
		}
	}
}

func TestTheServersCertificateIsVerified(t *testing.T) {
	b := newRobot(t)
	s := b.settings()
	delete(s, "ca_file") // the system's authorities do not know it
	d := open(t, s)
	for _, f := range []func(context.Context) error{d.Read, d.Reset} {
		if err := call(f); !errors.Is(err, fencing.ErrUntrusted) || fencing.MayHaveWorked(err) {
			t.Errorf("%v", err)
		}
	}
	if b.gets+len(b.posts)+b.wrong != 0 {
		t.Error("the password crossed an unverified connection")
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	stranger := newRobot(t)
	b := newRobot(t)
	b.Config.Handler = http.RedirectHandler(stranger.URL+"/reset/321", http.StatusFound)
	if err := call(open(t, b.settings()).Read); !errors.Is(err, fencing.ErrRubbish) {
		t.Error(err)
	}
	if stranger.gets+stranger.wrong != 0 {
		t.Error("the password went elsewhere")
	}
}

func TestManyDevicesTryAWrongPasswordOnce(t *testing.T) {
	b := newRobot(t)
	b.password = "another"
	s := b.settings()
	var wg sync.WaitGroup
	for range 8 {
		d := open(t, s)
		wg.Go(func() {
			if err := call(d.Read); !errors.Is(err, fencing.ErrAuth) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := b.WrongLogins(); n != 1 {
		t.Errorf("%d wrong log-ins", n)
	}
}

func TestANewPasswordIsTriedAtOnce(t *testing.T) {
	b := newRobot(t)
	b.password = "the-new-one"
	s := b.settings()
	d := open(t, s)
	for range 2 {
		if err := call(d.Read); !errors.Is(err, fencing.ErrAuth) || !strings.Contains(err.Error(), "not accepted") {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(s["password_file"], []byte("the-new-one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := call(d.Reset); err != nil {
		t.Fatal(err)
	}
	if b.Resets() != 1 || b.WrongLogins() != 1 {
		t.Errorf("%d resets, %d wrong log-ins", b.Resets(), b.WrongLogins())
	}
}
