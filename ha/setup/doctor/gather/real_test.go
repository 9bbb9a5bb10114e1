//go:build e2e

package gather

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"bascule/ha/setup/doctor"
)

// inNamespace says to this test's process that it has a network of its own.
const inNamespace = "BASCULE_TEST_NETWORK"

// TestJumboFramesVanish: two nodes with an MTU of 9000 and a switch between them that carries 1500, all in network namespaces of their own.
func TestJumboFramesVanish(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("it makes network namespaces, which takes root")
	}
	if os.Getenv(inNamespace) == "" {
		cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestJumboFramesVanish$", "-test.v")
		cmd.Env = append(os.Environ(), inNamespace+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		t.Logf("%s", out)
		return
	}
	wire, other := namespace(t), namespace(t)
	ip := func(args string) { run(t, args) }
	for _, end := range []string{"a", "b"} {
		ip(fmt.Sprintf("link add v%[1]s mtu 9000 gso_max_segs 1 type veth peer name s%[1]s mtu 9000 gso_max_segs 1", end))
		ip(fmt.Sprintf("link set s%s netns %d", end, wire.thread))
	}
	ip(fmt.Sprintf("link set vb netns %d", other.thread))
	ip("addr add 10.99.0.1/24 dev va")
	ip("link set va up")
	ip("link set lo up")
	other.do(func() {
		ip("addr add 10.99.0.2/24 dev vb")
		ip("link set vb up")
	})
	wire.do(func() {
		ip("link add name switch0 mtu 9000 type bridge")
		for _, s := range []string{"sa", "sb"} {
			ip("link set " + s + " master switch0 up")
		}
		ip("link set switch0 up")
	})

	b := newBed(t)
	var l net.Listener
	other.do(func() {
		var err error
		if l, err = net.Listen("tcp", "10.99.0.2:0"); err != nil {
			t.Error(err)
		}
	})
	if l == nil {
		t.FailNow()
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{b.cert}})
				_ = s.Handshake()
				s.Close()
			}()
		}
	}()
	b.cfg.Members[1].Address, b.cfg.API.Port = "10.99.0.2", l.Addr().(*net.TCPAddr).Port

	look := func() doctor.Path {
		note, err := New(Source{Config: b.cfg}).paths(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var f doctor.Facts
		note(&f)
		t.Logf("%+v", f.Paths[0])
		return f.Paths[0]
	}
	if p := look(); p.Lost || p.Unknown != "" || p.MTU != 9000 {
		t.Errorf("a switch with 9000: %+v", p)
	}
	narrow := func(mtu int) {
		wire.do(func() {
			for _, s := range []string{"sa", "sb"} {
				ip(fmt.Sprintf("link set %s mtu %d", s, mtu))
			}
		})
	}
	narrow(1500)
	if p := look(); !p.Lost || p.MTU != 9000 || p.Passes != 1500 {
		t.Errorf("a switch with 1500: %+v", p)
	}
	narrow(9000)
	if p := look(); p.Lost || p.Unknown != "" {
		t.Errorf("mended: %+v", p)
	}
}

// space is a network namespace, held by a thread of its own.
type space struct {
	thread int
	work   chan func()
}

func namespace(t *testing.T) *space {
	t.Helper()
	s := &space{work: make(chan func())}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		s.thread = unix.Gettid()
		ready <- unix.Unshare(unix.CLONE_NEWNET)
		for f := range s.work {
			f()
		}
	}()
	if err := <-ready; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close(s.work) })
	return s
}

// do runs f in the namespace.
func (s *space) do(f func()) {
	done := make(chan struct{})
	s.work <- func() { defer close(done); f() }
	<-done
}

// run calls the system's ip in the namespace of the thread that it is called on.
func run(t *testing.T, args string) {
	t.Helper()
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		t.Errorf("ip %s: %v: %s", args, err, out)
	}
}
