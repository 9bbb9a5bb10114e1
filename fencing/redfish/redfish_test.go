package redfish_test

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/fencing/fencingtest"
	"bascule/fencing/redfish"
	"bascule/ha"
)

func TestMain(m *testing.M) { fencingtest.Main(m, redfish.Method) }

func secrets() []string {
	return []string{password, base64.StdEncoding.EncodeToString([]byte(user + ":" + password)), `pa\"ss/w+rd&-7c1e`}
}

// shapes are the makers' ways, reduced to what differs between them.
var shapes = []shape{
	plain,
	{name: "iDRAC", id: "System.Embedded.1", uuid: fencingtest.UUID, target: true, already: 409, ok: 204,
		offered: []string{"On", "ForceOff", "ForceRestart", "GracefulRestart", "GracefulShutdown", "PushPowerButton", "Nmi", "PowerCycle"},
		extra:   `{"MemorySummary":{"TotalSystemMemoryGiB":"unknown"},"Oem":{"Dell":{"DellSystem":{"UUID":"other"}}}}`},
	{name: "iLO", id: "1", slash: true, uuid: strings.ToUpper(fencingtest.UUID), target: true, already: 400, ok: 200,
		offered: []string{"On", "ForceOff", "GracefulShutdown", "ForceRestart", "Nmi", "PushPowerButton"}, extra: `{"IndicatorLED":3}`},
	{name: "Supermicro", id: "1", uuid: "44454C4C-5100-1034-8052-B4C04F564232", ok: 200, // byte-swapped, no target
		extra: `{"PartNumber":null,"BiosVersion":3.3}`},
	{name: "Lenovo XCC", id: "1", uuid: strings.ToUpper(fencingtest.UUID), target: true, ok: 204,
		offered: []string{"On", "Nmi", "GracefulShutdown", "GracefulRestart", "ForceOn", "ForceOff", "ForceRestart"}},
	{name: "OpenBMC", id: "system", uuid: fencingtest.UUID, target: true, ok: 204, // says its reset types in an ActionInfo only
		extra: `{"Boot":{"BootSourceOverrideMode":7}}`},
}

func TestConforms(t *testing.T) {
	for _, auth := range []string{"basic", "session"} {
		t.Run(auth, func(t *testing.T) {
			t.Parallel()
			conforms(t, plain, auth)
		})
	}
}

func TestConformsForEachMaker(t *testing.T) {
	for _, sh := range shapes[1:] {
		t.Run(sh.name, func(t *testing.T) {
			t.Parallel()
			conforms(t, sh, "basic")
		})
	}
}

func conforms(t *testing.T, sh shape, auth string) {
	fencingtest.Run(t, fencingtest.Harness[fencingtest.Machine]{
		Method: redfish.Method,
		New: func(t *testing.T) (fencingtest.Machine, map[string]string) {
			b := newBMC(t, sh)
			t.Cleanup(func() {
				b.mu.Lock()
				defer b.mu.Unlock()
				for _, kind := range b.sent {
					if kind != "ForceOff" && kind != "On" {
						t.Errorf("the controller was sent %q", kind)
					}
				}
				if len(b.open) > 0 && b.Fault() != fencingtest.Hangs {
					t.Errorf("%d of %d sessions were left open", len(b.open), b.opened)
				}
				if auth == "session" && b.opened == 0 && b.Fault() == fencingtest.Healthy && len(b.sent) > 0 {
					t.Errorf("no session was used")
				}
			})
			s := b.settings()
			s["auth"] = auth
			return b, s
		},
		Switch:  fencingtest.Child().Switch,
		Secrets: secrets(),
	})
}

func open(t *testing.T, settings map[string]string) fencing.PowerDevice {
	t.Helper()
	d, err := redfish.Method.Power(settings)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func timeLimit(t *testing.T) context.Context { return fencingtest.Within(t, 40*time.Second) }

func TestOnlyTheLiteralWordIsOff(t *testing.T) {
	for _, c := range []struct {
		word any
		want ha.Power
		err  error
	}{
		{"Off", ha.PowerOff, nil}, {"On", ha.PowerOn, nil}, {"PoweringOff", ha.PowerPoweringOff, nil}, {"PoweringOn", ha.PowerPoweringOn, nil},
		{"off", ha.PowerUnknown, nil}, {"OFF", ha.PowerUnknown, nil}, {"Off ", ha.PowerUnknown, nil}, {"Paused", ha.PowerUnknown, nil},
		{"", ha.PowerUnknown, nil}, {jsonNull{}, ha.PowerUnknown, nil},
		{0, ha.PowerUnknown, fencing.ErrRubbish}, {false, ha.PowerUnknown, fencing.ErrRubbish}, {[]string{"Off"}, ha.PowerUnknown, fencing.ErrRubbish},
	} {
		b := newBMC(t, plain)
		b.word = c.word
		r, err := open(t, b.settings()).Read(timeLimit(t))
		if r.Power != c.want || !errors.Is(err, c.err) {
			t.Errorf("PowerState %#v: %q, %v; want %q, %v", c.word, r.Power, err, c.want, c.err)
		}
	}
}

type jsonNull struct{}

func (jsonNull) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

func TestNothingButForceOffIsSent(t *testing.T) {
	sh := plain
	sh.offered = []string{"On", "GracefulShutdown", "PowerCycle", "ForceRestart"}
	b := newBMC(t, sh)
	err := open(t, b.settings()).Off(timeLimit(t))
	if !errors.Is(err, fencing.ErrRefused) || !strings.Contains(err.Error(), "GracefulShutdown") {
		t.Errorf("a controller without ForceOff: %v, want refused and what it offers", err)
	}
	if len(b.Heard()) != 0 {
		t.Errorf("it was sent %v", b.sent)
	}
}

func TestARefusalCountsAsDoneOnlyInTheWantedState(t *testing.T) {
	sh := plain
	sh.already = 409
	b := newBMC(t, sh)
	b.word = "Off" // says off, is on; accepts
	if err := open(t, b.settings()).Off(timeLimit(t)); err != nil || len(b.Heard()) != 1 || b.Power() != ha.PowerOff {
		t.Errorf("a stale off: %v, heard %v, machine %s: the command has to be sent all the same", err, b.Heard(), b.Power())
	}
	b = newBMC(t, sh)
	b.SetPower(ha.PowerOff)
	b.word = "On" // says on, refuses as already off
	if err := open(t, b.settings()).Off(timeLimit(t)); !errors.Is(err, fencing.ErrRefused) || !strings.Contains(err.Error(), "already powered OFF") {
		t.Errorf("refused while reading on: %v, want refused with the controller's words", err)
	}
}

func TestSeveralSystems(t *testing.T) {
	sh := plain
	sh.id, sh.others = "Node2", []string{"Node1"}
	b := newBMC(t, sh)
	settings := b.settings()
	_, err := open(t, settings).Read(timeLimit(t))
	if !errors.Is(err, fencing.ErrSettings) || !strings.Contains(err.Error(), "Node1, Node2") {
		t.Errorf("no choice made: %v, want settings and the two names", err)
	}
	for _, id := range []string{"Node2", "/redfish/v1/Systems/Node2/"} {
		settings["system"] = id
		if r, err := open(t, settings).Read(timeLimit(t)); err != nil || r.Power != ha.PowerOn {
			t.Errorf("system %s: %+v, %v", id, r, err)
		}
	}
	settings["system"] = "Node7"
	if err := open(t, settings).Off(timeLimit(t)); !errors.Is(err, fencing.ErrWrongMachine) || !strings.Contains(err.Error(), "Node1, Node2") || len(b.Heard()) != 0 {
		t.Errorf("a system that is not there: %v, heard %v", err, b.Heard())
	}
}

func TestAConfiguredUUIDGuardsSwitching(t *testing.T) {
	b := newBMC(t, plain)
	settings := b.settings()
	settings["uuid"] = fencingtest.OtherUUID
	if err := open(t, settings).Off(timeLimit(t)); !errors.Is(err, fencing.ErrWrongMachine) || len(b.Heard()) != 0 {
		t.Errorf("another machine's UUID: %v, heard %v", err, b.Heard())
	}
	settings["uuid"] = strings.ToUpper(fencingtest.UUID)
	if err := open(t, settings).Off(timeLimit(t)); err != nil {
		t.Errorf("the machine's own UUID: %v", err)
	}
}

func TestTrust(t *testing.T) {
	b := newBMC(t, plain)
	wrong := strings.Repeat("AB:", 31) + "AB"
	for _, c := range []struct {
		name, key, value string
		want             error
	}{
		{"right fingerprint", "fingerprint", b.fingerprint(), nil},
		{"wrong fingerprint", "fingerprint", wrong, fencing.ErrUntrusted},
		{"right authority", "ca_file", b.CAFile(), nil},
		{"missing ca file", "ca_file", "/nonexistent/ca.pem", fencing.ErrSettings},
		{"ca file without certificates", "ca_file", b.settings()["password_file"], fencing.ErrSettings},
		{"insecure", "insecure", "true", nil},
	} {
		settings := b.settings()
		delete(settings, "fingerprint")
		settings[c.key] = c.value
		if _, err := open(t, settings).Read(timeLimit(t)); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	stranger := otherAuthority(t)
	settings := b.settings()
	delete(settings, "fingerprint")
	settings["ca_file"] = stranger
	_, err := open(t, settings).Read(timeLimit(t))
	if !errors.Is(err, fencing.ErrUntrusted) || !strings.Contains(err.Error(), strings.ToLower(b.fingerprint())) {
		t.Errorf("another authority: %v, want untrusted and the fingerprint seen", err)
	}
	if len(b.Heard()) != 0 {
		t.Errorf("heard %v", b.Heard())
	}
}

func TestThePasswordGoesToNobodyElse(t *testing.T) {
	var got []string
	thief := newBMC(t, plain)
	thief.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { got = append(got, r.URL.Path) })
	b := newBMC(t, plain)
	b.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, thief.URL+r.URL.Path, http.StatusTemporaryRedirect)
	})
	settings := b.settings()
	delete(settings, "fingerprint")
	settings["insecure"] = "true"
	if err := open(t, settings).Off(timeLimit(t)); !errors.Is(err, fencing.ErrRubbish) {
		t.Errorf("redirected to another host: %v", err)
	}
	if len(got) != 0 {
		t.Errorf("the other host was asked for %v", got)
	}
}

func TestHugeAnswersAreCutOff(t *testing.T) {
	b := newBMC(t, plain)
	b.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"Systems":{"@odata.id":"/redfish/v1/Systems"},"Description":"`)
		for range 64 {
			if _, err := io.WriteString(w, strings.Repeat("x", 1<<16)); err != nil {
				return
			}
		}
		io.WriteString(w, `"}`)
	})
	if _, err := open(t, b.settings()).Read(timeLimit(t)); !errors.Is(err, fencing.ErrRubbish) {
		t.Errorf("4 MiB of answer: %v, want rubbish", err)
	}
}

func TestAnErrorWithStatus200IsNoReading(t *testing.T) {
	b := newBMC(t, plain)
	b.sh.extra = `{"PowerState":null,"error":{"message":"licence missing"}}`
	if r, err := open(t, b.settings()).Read(timeLimit(t)); !errors.Is(err, fencing.ErrRefused) || r.Power != ha.PowerUnknown {
		t.Errorf("%+v, %v; want refused", r, err)
	}
}
