package bmc

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stmcginnis/gofish"
	"github.com/stmcginnis/gofish/schemas"
	"go.uber.org/goleak"

	"bascule/ha/waittest"
	"bascule/tests/lab/pki"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	uuid     = "6c1f2f9e-1f0e-4c5c-9a50-0d7a4a3f5c11"
	password = "open sesame"
)

// machine is a node that may refuse to die.
type machine struct {
	mu       sync.Mutex
	on       bool
	immortal bool
	offs     int
}

func (m *machine) PowerOff() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.offs++
	if m.immortal {
		return errors.New("a process is left")
	}
	m.on = false
	return nil
}

func (m *machine) PowerOn() error { m.set(true, false); return nil }

func (m *machine) Powered() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.on
}

func (m *machine) set(on, immortal bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.on, m.immortal = on, immortal
}

// bench is a BMC, its machine, and an HTTP client that trusts its certificate.
type bench struct {
	*BMC
	t       *testing.T
	machine *machine
	url     string
	lan     string // for IPMI
	client  *http.Client
	events  *bytes.Buffer
}

func newBench(t *testing.T) *bench { return newSlowBench(t, 60*time.Millisecond) }

// newSlowBench has a machine that takes so long to switch off.
func newSlowBench(t *testing.T, off time.Duration) *bench {
	t.Helper()
	ca, err := pki.New("test CA")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Issue("node1-bmc", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{on: true}
	events := &bytes.Buffer{}
	var b *BMC
	var address, ipmiAddress string
	for range 20 { // others on this machine may take the ports before they are used
		address, ipmiAddress = freeAddresses(t)
		b, err = New(Options{
			Address: address, IPMIAddress: ipmiAddress, Node: "node1", UUID: uuid, User: "admin", Password: password, Certificate: pair.TLS,
			Machine: m, OffTime: off, OnTime: 20 * time.Millisecond,
			Event: func(kind, detail string) { events.WriteString(kind + " " + detail + "\n") },
		})
		if !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return &bench{BMC: b, t: t, machine: m, url: "https://" + address, lan: ipmiAddress, client: &http.Client{Transport: transport, Timeout: waittest.Hang}, events: events}
}

// freeAddresses are a TCP and a UDP address that nobody uses now.
func freeAddresses(t *testing.T) (tcp, udp string) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	u, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	return l.Addr().String(), u.LocalAddr().String()
}

// tries is how often what lasts for half a second may be missed on a machine that stalls.
const tries = 10

// connect logs in as gofish does.
func (b *bench) connect(ctx context.Context, basic bool, secret string) (*gofish.APIClient, error) {
	c, err := gofish.ConnectContext(ctx, gofish.ClientConfig{
		Endpoint: b.url, Username: "admin", Password: secret, BasicAuth: basic, HTTPClient: b.client, NoModifyTransport: true, ReuseConnections: true,
	})
	if err == nil {
		b.t.Cleanup(c.Logout)
	}
	return c, err
}

func (b *bench) system() (*schemas.ComputerSystem, error) {
	c, err := b.connect(b.t.Context(), true, password)
	if err != nil {
		return nil, err
	}
	systems, err := c.Service.Systems()
	if err != nil {
		return nil, err
	}
	if len(systems) != 1 {
		b.t.Fatalf("%d systems", len(systems))
	}
	return systems[0], nil
}

func (b *bench) mustSystem() *schemas.ComputerSystem {
	b.t.Helper()
	s, err := b.system()
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

func (b *bench) reset(kind schemas.ResetType) {
	b.t.Helper()
	if _, err := b.mustSystem().Reset(kind); err != nil {
		b.t.Fatalf("%s: %v", kind, err)
	}
}

// await waits until the BMC reports a state.
func (b *bench) await(want schemas.PowerState) {
	b.t.Helper()
	var got schemas.PowerState
	waittest.Until(b.t, waittest.Hang, "the power state is "+string(want), func() bool {
		got = b.mustSystem().PowerState
		return got == want
	}, &got)
}

func TestForceOffTakesItsTimeAndIsTheTruth(t *testing.T) {
	b := newSlowBench(t, 500*time.Millisecond)
	s := b.mustSystem()
	if s.PowerState != schemas.OnPowerState || s.UUID != uuid {
		t.Fatalf("at first: %s, %s", s.PowerState, s.UUID)
	}
	seen := false
	for range tries {
		b.reset(schemas.ForceOffResetType)
		reads := b.mustSystem().PowerState
		on := b.machine.Powered()
		t.Logf("right after the command: %s, machine on: %t", reads, on)
		seen = reads == schemas.PoweringOffPowerState && on
		b.await(schemas.OffPowerState)
		if b.machine.Powered() {
			t.Error("Off is reported while the machine runs")
		}
		b.reset(schemas.OnResetType)
		b.await(schemas.OnPowerState)
		if seen {
			return
		}
	}
	t.Error("the machine takes no time to switch off")
}

func TestOffIsNotReportedWhileSomethingRuns(t *testing.T) {
	b := newBench(t)
	b.machine.set(true, true)
	b.reset(schemas.ForceOffResetType)
	b.await(schemas.OnPowerState) // the command has failed
	if !strings.Contains(b.events.String(), "bmc-failed ForceOff: a process is left") {
		t.Errorf("events: %s", b.events)
	}
}

func TestSessionLoginAndWrongPassword(t *testing.T) {
	b := newBench(t)
	if _, err := b.connect(t.Context(), false, password); err != nil {
		t.Errorf("session login: %v", err)
	}
	for _, basic := range []bool{true, false} {
		c, err := b.connect(t.Context(), basic, "wrong")
		if err == nil {
			_, err = c.Service.Systems()
		}
		if err == nil || !strings.Contains(err.Error(), "401") {
			t.Errorf("basic %t: a wrong password gave %v", basic, err)
		}
	}
	c, err := b.connect(t.Context(), false, password)
	if err != nil {
		t.Fatal(err)
	}
	b.SetFault(Fault{Kind: WrongPassword})
	if _, err := c.Service.Systems(); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("an old session after the password changed: %v", err)
	}
}

func TestOnlyOnAndForceOff(t *testing.T) {
	b := newBench(t)
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url+"/redfish/v1/Systems/1/Actions/ComputerSystem.Reset", strings.NewReader(`{"ResetType":"ForceRestart"}`))
	req.SetBasicAuth("admin", password)
	resp, err := b.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest || !b.machine.Powered() {
		t.Errorf("status %d", resp.StatusCode)
	}
}

func TestFaultsThatLie(t *testing.T) {
	for _, c := range []struct {
		fault  Kind
		before schemas.PowerState
		after  schemas.PowerState
	}{
		{SaysDone, schemas.OnPowerState, schemas.OnPowerState},
		{ReadsOff, schemas.OnPowerState, schemas.OffPowerState},
		{StuckOff, schemas.OffPowerState, schemas.OffPowerState},
	} {
		t.Run(string(c.fault), func(t *testing.T) {
			b := newBench(t)
			b.SetFault(Fault{Kind: c.fault})
			if got := b.mustSystem().PowerState; got != c.before {
				t.Errorf("before: %s", got)
			}
			b.reset(schemas.ForceOffResetType)
			b.await(c.after)
			if !b.machine.Powered() || b.machine.offs != 0 {
				t.Error("a lying BMC touched its machine")
			}
			b.SetFault(Fault{})
			b.await(schemas.OnPowerState)
		})
	}
}

func TestFaultsThatAnswerWrongly(t *testing.T) {
	b := newBench(t)
	b.SetFault(Fault{Kind: WrongUUID})
	if got := b.mustSystem().UUID; got == uuid {
		t.Error("wrong-uuid shows the right one")
	}
	b.SetFault(Fault{Kind: Rubbish})
	if _, err := b.system(); err == nil {
		t.Error("gofish made sense of rubbish")
	}
	b.SetFault(Fault{Kind: Refuse})
	if _, err := b.system(); err == nil {
		t.Error("refuse answered")
	}
	b.SetFault(Fault{Kind: Slow, Delay: 80 * time.Millisecond})
	start := time.Now()
	b.mustSystem()
	if took := time.Since(start); took < 80*time.Millisecond {
		t.Errorf("slow answered within %s", took)
	}
}

func TestSilence(t *testing.T) {
	for _, kind := range []Kind{Hang, DeadWithNode} {
		t.Run(string(kind), func(t *testing.T) {
			b := newBench(t)
			if kind == DeadWithNode {
				b.SetFault(Fault{Kind: kind})
				b.mustSystem() // answers while its node has power
				b.machine.set(false, false)
				b.PowerChanged()
			}
			b.SetFault(Fault{Kind: kind})
			for _, fresh := range []bool{false, true} { // on an open connection, and on a new one
				if fresh {
					b.client.CloseIdleConnections()
				}
				ctx, cancel := context.WithTimeout(t.Context(), 120*time.Millisecond)
				req, _ := http.NewRequestWithContext(ctx, http.MethodGet, b.url+"/redfish/v1", nil)
				_, err := b.client.Do(req)
				cancel()
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("fresh connection %t: %v, want silence", fresh, err)
				}
			}
			b.machine.set(true, false)
			b.SetFault(Fault{})
			b.client.CloseIdleConnections()
			b.mustSystem()
		})
	}
}

func TestParseFault(t *testing.T) {
	for text, want := range map[string]Fault{
		"clear": {}, "hang": {Kind: Hang}, "slow": {Kind: Slow, Delay: slowBy}, "slow=4s": {Kind: Slow, Delay: 4 * time.Second},
	} {
		got, err := ParseFault(text)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
		if back, err := ParseFault(got.String()); err != nil || back != want {
			t.Errorf("%s does not survive: %s", text, got)
		}
	}
	for _, text := range []string{"", "lie", "hang=3s", "slow=soon", "slow=-1s"} {
		if _, err := ParseFault(text); err == nil {
			t.Errorf("%q accepted", text)
		}
	}
}

func TestNoSecretInTheOpen(t *testing.T) {
	b := newBench(t)
	resp, err := b.client.Get(b.url + "/redfish/v1/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || !bytes.Contains(body, []byte("SessionService")) || bytes.Contains(body, []byte(password)) {
		t.Errorf("service root without login: %s %v", body, err)
	}
}
