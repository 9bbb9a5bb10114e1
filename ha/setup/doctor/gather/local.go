package gather

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"bascule/ha/setup/discover"
	"bascule/ha/setup/doctor"
)

// certificates reads the ends of the certificates that this node uses.
func (g *Gatherer) certificates(context.Context) (func(*doctor.Facts), error) {
	c := g.src.Config
	var out []doctor.Certificate
	for _, x := range []struct{ use, file string }{{"node", c.TLS.CertFile}, {"authority", c.TLS.CAFile}, {"etcd client", c.Etcd.CertFile}, {"etcd authority", c.Etcd.CAFile}} {
		if x.file != "" {
			out = append(out, readCertificate(x.use, x.file))
		}
	}
	return func(f *doctor.Facts) { f.Certificates = out }, nil
}

// readCertificate reads the certificate of a file that ends first.
func readCertificate(use, file string) doctor.Certificate {
	out := doctor.Certificate{Use: use, File: file}
	rest, err := os.ReadFile(file)
	if err != nil {
		out.Problem = reason(err)
		return out
	}
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			out.Problem = err.Error()
			return out
		}
		out.Count++
		if out.NotAfter.IsZero() || cert.NotAfter.Before(out.NotAfter) {
			out.Subject, out.From, out.NotAfter = cert.Subject.CommonName, cert.NotBefore, cert.NotAfter
		}
	}
	if out.NotAfter.IsZero() {
		out.Problem = "no certificate in it"
	}
	return out
}

// reason is an error without the path that stands beside it.
func reason(err error) string {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

// clock asks the kernel whether the wall clock is synchronised, and where a sandbox forbids even that, chrony. It changes nothing.
func (g *Gatherer) clock(ctx context.Context) (func(*doctor.Facts), error) {
	out := doctor.Clock{}
	var t unix.Timex
	if state, err := unix.Adjtimex(&t); err == nil {
		out.Known = true
		out.Synchronised = state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0
		out.MaxError = time.Duration(t.Maxerror) * time.Microsecond
	} else if said, err := child(ctx, "chronyc", "-c", "tracking"); err == nil {
		out.Known, out.Synchronised = chronyTracks(said)
	}
	file := g.src.Config.TLS.CertFile
	if c := readCertificate("node", file); c.Problem == "" {
		out.Built = c.From // long ago on purpose, where Bascule has made it: a dead clock shall keep nobody out
	}
	if st, err := os.Stat(file); err == nil && st.ModTime().After(out.Built) {
		out.Built = st.ModTime()
	}
	return func(f *doctor.Facts) { f.Clock = &out }, nil
}

// chronyTracks reads `chronyc -c tracking`: values between commas, the last of which is the leap status.
func chronyTracks(said string) (known, synchronised bool) {
	values := strings.Split(strings.TrimSpace(said), ",")
	if len(values) < 10 {
		return false, false
	}
	return true, values[len(values)-1] != "Not synchronised"
}

// child runs a program that only reads, and kills it when ctx ends or this process dies.
func child(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = 200 * time.Millisecond
	// The death signal belongs to the thread that forks: keep it until the child is gone.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	out, err := cmd.Output()
	return string(out), err
}

// network finds the interface that carries this node's own address.
func (g *Gatherer) network(context.Context) (func(*doctor.Facts), error) {
	want := g.src.Config.BindAddress
	if net.ParseIP(want) == nil {
		if all, err := net.LookupHost(want); err == nil && len(all) > 0 {
			want = all[0]
		}
	}
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("the interfaces cannot be listed: %w", err)
	}
	for _, i := range all {
		addresses, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addresses {
			if ip, n, err := net.ParseCIDR(a.String()); err == nil && (ip.String() == want || i.Flags&net.FlagLoopback != 0 && n.Contains(net.ParseIP(want))) {
				return func(f *doctor.Facts) {
					f.Interface = &doctor.Interface{Name: i.Name, Address: a.String(), MTU: i.MTU}
				}, nil
			}
		}
	}
	return nil, fmt.Errorf("no interface of this machine carries its address %s (bind_address, members)", g.src.Config.BindAddress)
}

// watchdogs lists the machine's watchdogs without opening one: opening arms it.
func (g *Gatherer) watchdogs(context.Context) (func(*doctor.Facts), error) {
	var out []doctor.Watchdog
	for _, d := range discover.ReadWatchdogs(os.DirFS(cmp.Or(g.src.Root, "/"))).Devices {
		out = append(out, doctor.Watchdog{Path: d.Path, Identity: d.Identity, NoWayOut: d.NoWayOut, Holder: d.Holder})
	}
	return func(f *doctor.Facts) { f.Watchdogs = out }, nil
}

// unitDirs are where systemd looks for units, the first counts.
var unitDirs = []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}

// bootCheck looks for the drop-in that keeps Proxmox from starting protected guests at boot.
func (g *Gatherer) bootCheck(context.Context) (func(*doctor.Facts), error) {
	out := doctor.BootCheck{}
	seen := map[string]bool{} // a file of the same name in an earlier directory takes the place of a later one
	for _, dir := range unitDirs {
		if _, err := os.Stat(filepath.Join(g.src.Root, dir, "pve-guests.service")); err == nil {
			out.PVEGuests = true
		}
		files, _ := filepath.Glob(filepath.Join(g.src.Root, dir, "pve-guests.service.d", "*.conf"))
		for _, file := range files {
			base := filepath.Base(file)
			if seen[base] {
				continue
			}
			seen[base] = true
			text, err := os.ReadFile(file)
			if err != nil {
				out.Broken = fmt.Sprintf("%s cannot be read: %s", file, reason(err))
			} else if out.DropIn == "" && runsBootCheck(string(text)) {
				out.DropIn = file
			}
		}
	}
	return func(f *doctor.Facts) { f.BootCheck = &out }, nil
}

func runsBootCheck(unit string) bool {
	for line := range strings.Lines(unit) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "ExecStartPre=") && strings.Contains(line, "boot-check") && !strings.HasPrefix(line, "ExecStartPre=-") {
			return true
		}
	}
	return false
}
