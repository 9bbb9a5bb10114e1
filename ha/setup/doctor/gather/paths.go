package gather

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"bascule/ha/setup/doctor"
)

// How long the handshakes take at most by which a path's packet size is tried. A large one has time for TCP to send it again four times.
const (
	smallLimit = 2 * time.Second
	largeLimit = 3 * time.Second
	sizeLimit  = 1200 * time.Millisecond
)

const (
	// smallPacket passes on every network that IPv6 is allowed on.
	smallPacket = 1200
	// timestamps is TCPI_OPT_TIMESTAMPS of linux/tcp.h.
	timestamps = 1
	// largestHello bounds the greeting that fills a packet; servers take up to 64 KiB.
	largestHello = 16 << 10
)

// sizes are what networks carry, the largest first: Ethernet, VXLAN, WireGuard, the least of IPv6.
var sizes = []int{1500, 1450, 1420, 1280}

// paths tries whether packets as large as this node's interface makes them reach the other members, by the greeting of a TLS handshake on
// the API's port: it is answered before anything is asked, goes where the members' firewalls let it, and takes no privilege. Only silence
// counts, and only where small packets pass at the same time.
func (g *Gatherer) paths(ctx context.Context) (func(*doctor.Facts), error) {
	var out []doctor.Path
	for _, m := range g.src.Config.Members {
		if m.Name != g.src.Config.Node {
			out = append(out, doctor.Path{To: m.Name, Address: net.JoinHostPort(m.Address, strconv.Itoa(g.src.Config.API.Port))})
		}
	}
	var all sync.WaitGroup
	for i := range out {
		all.Go(func() {
			p := &out[i]
			conf, err := g.clientTLS(p.Address)
			if err != nil {
				p.Unknown = err.Error()
				return
			}
			tryPath(ctx, p, func(ctx context.Context, size int, limit time.Duration) (int, error) {
				return greet(ctx, p.Address, conf, size, limit)
			})
		})
	}
	all.Wait()
	return func(f *doctor.Facts) { f.Paths = out }, nil
}

// greeter shakes hands once with packets of at most this size, 0: as large as the interfaces make them, and says how large these are.
type greeter func(ctx context.Context, size int, limit time.Duration) (mtu int, err error)

// tryPath fills in what passes on the way to a member. A large packet counts as lost when it was twice, with small ones passing before,
// between and afterwards.
func tryPath(ctx context.Context, p *doctor.Path, greet greeter) {
	small := func() bool {
		_, err := greet(ctx, smallPacket, smallLimit)
		if err != nil {
			p.Unknown = "small packets: " + plain(err).Error()
		}
		return err == nil
	}
	for range 2 {
		if !small() {
			return
		}
		var err error
		if p.MTU, err = greet(ctx, 0, largeLimit); err == nil {
			return
		}
		if !silent(err) {
			p.Unknown = plain(err).Error()
			return
		}
	}
	if !small() {
		return
	}
	p.Lost, p.Passes = true, smallPacket
	for _, size := range sizes {
		if size >= p.MTU {
			continue
		}
		if _, err := greet(ctx, size, sizeLimit); err == nil {
			p.Passes = size
			return
		}
	}
}

// silent says whether nobody answered, in contrast to an answer of any kind.
func silent(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

// greet shakes hands with packets of at most this size in both directions, 0: as large as the interfaces make them. The greeting fills at
// least one such packet, but for the smallest. It returns the size of the largest packets that this connection sends.
func greet(ctx context.Context, address string, conf *tls.Config, size int, limit time.Duration) (mtu int, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	d := net.Dialer{}
	if size > 0 {
		d.Control = func(network, _ string, c syscall.RawConn) error {
			var failed error
			err := c.Control(func(fd uintptr) {
				failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, size-headers(network == "tcp6"))
			})
			return errors.Join(err, failed)
		}
	}
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if mtu, err = largest(conn.(*net.TCPConn)); err != nil {
		return 0, err
	}
	conf = conf.Clone()
	conf.CurvePreferences = []tls.CurveID{tls.X25519} // keeps the greeting small
	if size != smallPacket {
		conf.NextProtos = padding(min(mtu, largestHello))
	}
	if err := tls.Client(conn, conf).HandshakeContext(ctx); err != nil {
		return mtu, err
	}
	return mtu, nil
}

// padding is a list of protocols that takes up this many bytes of a greeting. The first one is what every member speaks.
func padding(bytes int) []string {
	out := []string{"http/1.1"}
	for i := 0; bytes > 0; i++ {
		name := fmt.Sprintf("pad-%03d-", i) + strings.Repeat("x", 200)
		out, bytes = append(out, name), bytes-len(name)-1
	}
	return out
}

// largest is the size of the largest packets that the kernel makes for a connection.
func largest(c *net.TCPConn) (int, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var info *unix.TCPInfo
	var failed error
	err = raw.Control(func(fd uintptr) { info, failed = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) })
	if err := errors.Join(err, failed); err != nil {
		return 0, fmt.Errorf("the kernel does not tell a connection's packet size: %w", err)
	}
	size := int(info.Snd_mss)
	if info.Options&timestamps != 0 {
		size += 12
	}
	to, ok := c.RemoteAddr().(*net.TCPAddr)
	return size + headers(ok && to.IP.To4() == nil), nil
}

// headers are the bytes of a packet beside its segment.
func headers(v6 bool) int {
	if v6 {
		return 60
	}
	return 40
}
