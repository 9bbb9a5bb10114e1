package iscsi_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"bascule/fencing/fencingtest"
	"bascule/fencing/scsipr/iscsi"
	"bascule/fencing/scsipr/scsitest"
)

func config(target *scsitest.Target) iscsi.Config {
	return iscsi.Config{Address: target.Address(), Target: scsitest.IQN, Initiator: "iqn.2026-01.internal.test:me", ISID: [6]byte{0x80, 1, 2, 3, 0, 1}, Dial: (&net.Dialer{}).DialContext}
}

func login(t *testing.T, target *scsitest.Target) *iscsi.Session {
	t.Helper()
	s, err := iscsi.Login(within(t, 40*time.Second), config(target))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

var within = fencingtest.Within

// pattern is data of which no two pieces are equal.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i/251)
	}
	return b
}

func TestCommands(t *testing.T) {
	for _, r2t := range []bool{false, true} {
		target := (&scsitest.Target{Disks: []*scsitest.Disk{{}}, R2T: r2t}).Serve(t)
		s := login(t, target)
		ctx := within(t, 40*time.Second)
		r, err := s.Execute(ctx, 0, make([]byte, 6), nil, 0)
		if err != nil || r.Status != scsitest.Check || len(r.Sense) != 18 || r.Sense[2] != 6 || r.Sense[12] != 0x29 {
			t.Fatalf("the first command meets %+v %v, want a unit attention", r, err)
		}
		for _, n := range []int{24, 512, 1024, 1025, 5000} { // within the command, after it, in several segments
			data := pattern(n)
			if r, err := s.Execute(ctx, 0, []byte{0x2a, 0, 0, 0, 0, 9, 0, 0, 10, 0}, data, 0); err != nil || r.Status != scsitest.Good {
				t.Fatalf("write of %d: %+v %v", n, r, err)
			}
			if r, err := s.Execute(ctx, 0, []byte{0x28, 0, 0, 0, 0, 9, 0, 0, 10, 0}, nil, 8192); err != nil || !bytes.Equal(r.Data, data) {
				t.Fatalf("read of %d: %d bytes %v", n, len(r.Data), err)
			}
		}
		if r, err := s.Execute(ctx, 7, make([]byte, 6), nil, 0); err != nil || r.Status != scsitest.Check || r.Sense[12] != 0x25 {
			t.Fatalf("no such LUN: %+v %v", r, err)
		}
	}
}

func TestLoginRefused(t *testing.T) {
	for status, text := range map[uint16]string{0x0101: "moved", 0x0201: "CHAP", 0x0202: "no access", 0x0203: "no such target", 0x0300: "0x0300"} {
		target := (&scsitest.Target{Deny: status}).Serve(t)
		if _, err := iscsi.Login(within(t, 40*time.Second), config(target)); !errors.Is(err, iscsi.ErrLogin) || !strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), scsitest.IQN) {
			t.Errorf("%#04x: %v", status, err)
		}
	}
}

func TestHangsAndBreaks(t *testing.T) {
	d := &scsitest.Disk{}
	target := (&scsitest.Target{Disks: []*scsitest.Disk{d}}).Serve(t)
	s := login(t, target)
	d.Break(scsitest.Hangs)
	if _, err := s.Execute(within(t, 100*time.Millisecond), 0, make([]byte, 6), nil, 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("%v", err)
	}
	if _, err := s.Execute(within(t, 40*time.Second), 0, make([]byte, 6), nil, 0); !errors.Is(err, iscsi.ErrClosed) {
		t.Fatalf("after an error: %v", err)
	}
	s.Close()
	d.Break(scsitest.Healthy)
	s = login(t, target)
	target.Drop()
	if _, err := s.Execute(within(t, 40*time.Second), 0, make([]byte, 6), nil, 0); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("dropped: %v", err)
	}
	target.Stop()
	if _, err := iscsi.Login(within(t, 40*time.Second), config(target)); err == nil {
		t.Fatal("a stopped target let us in")
	}
	for _, bad := range []struct {
		cdb, out []byte
		in       int
		lun      uint16
	}{{nil, nil, 0, 0}, {make([]byte, 17), nil, 0, 0}, {make([]byte, 6), []byte{1}, 1, 0}, {make([]byte, 6), nil, 1 << 25, 0}, {make([]byte, 6), nil, 0, 1 << 14}} {
		if _, err := s.Execute(within(t, 40*time.Second), bad.lun, bad.cdb, bad.out, bad.in); !errors.Is(err, iscsi.ErrProtocol) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// scripted is a connection on which the target's side is written in advance.
type scripted struct {
	net.Conn
	in  *bytes.Reader
	out bytes.Buffer
}

func (c *scripted) Read(p []byte) (int, error)  { return c.in.Read(p) }
func (c *scripted) Write(p []byte) (int, error) { return c.out.Write(p) }
func (c *scripted) Close() error                { return nil }
func (c *scripted) SetDeadline(time.Time) error { return nil }

// pdu writes one PDU of a target.
func pdu(op, flags byte, set map[int]uint32, data string) []byte {
	h := make([]byte, 48)
	h[0], h[1] = op, flags
	for at, v := range set {
		binary.BigEndian.PutUint32(h[at:], v)
	}
	h[5], h[6], h[7] = byte(len(data)>>16), byte(len(data)>>8), byte(len(data))
	return append(append(h, data...), make([]byte, -len(data)&3)...)
}

// loggedIn is how a target lets somebody in.
func loggedIn() []byte {
	return append(pdu(0x23, 0x81, map[int]uint32{32: 8}, ""), pdu(0x23, 0x87, map[int]uint32{32: 8}, "MaxRecvDataSegmentLength=8192\x00")...)
}

func play(t testing.TB, script []byte, out []byte, in int) (iscsi.Reply, *scripted, error) {
	c := &scripted{in: bytes.NewReader(script)}
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	s, err := iscsi.Login(ctx, iscsi.Config{Address: "x", Target: "iqn.t", Initiator: "iqn.i", Dial: func(context.Context, string, string) (net.Conn, error) { return c, nil }})
	if err != nil {
		return iscsi.Reply{}, c, err
	}
	defer s.Close()
	r, err := s.Execute(ctx, 1, []byte{0x5e, 0, 0, 0, 0, 0, 0, 0, 64, 0}, out, in)
	return r, c, err
}

// tag is that of the first command of a session.
const tag = 2

func TestWhatATargetMaySend(t *testing.T) {
	end := pdu(0x21, 0x80, map[int]uint32{16: tag, 32: 9}, "")
	ping := pdu(0x20, 0x80, map[int]uint32{16: 0xffffffff, 20: 77, 32: 9}, "hello")
	for _, c := range []struct {
		name   string
		script []byte
		in     int
		out    string
		want   string // data read, or "!" and a part of the error
	}{
		{"status with the data", pdu(0x25, 0x81, map[int]uint32{16: tag, 32: 9}, "abc"), 64, "", "abc"},
		{"two pieces, then the status", join(pdu(0x25, 0, map[int]uint32{16: tag}, "abcd"), pdu(0x25, 0x80, map[int]uint32{16: tag, 40: 4}, "ef"), end), 64, "", "abcdef"},
		{"a ping in between", join(ping, end), 64, "", ""},
		{"word of sense data", join(pdu(0x32, 0x80, map[int]uint32{16: 0xffffffff, 32: 9}, ""), end), 64, "", ""},
		{"asks for logout", pdu(0x32, 0x80, map[int]uint32{16: 0xffffffff, 36: 1 << 24}, ""), 64, "", "!ends the session"},
		{"rejects", pdu(0x3f, 0x80, nil, ""), 64, "", "!rejects"},
		{"another command's answer", pdu(0x21, 0x80, map[int]uint32{16: 99}, ""), 64, "", "!not sent"},
		{"more than asked for", pdu(0x25, 0x81, map[int]uint32{16: tag}, "abcde"), 4, "", "!5 bytes"},
		{"out of order", pdu(0x25, 0x81, map[int]uint32{16: tag, 40: 8}, "abc"), 64, "", "!3 bytes at 8"},
		{"asks for more than there is", pdu(0x31, 0x80, map[int]uint32{16: tag, 40: 0, 44: 99}, ""), 0, "data", "!asks for 99 bytes"},
		{"asks beyond the end", pdu(0x31, 0x80, map[int]uint32{16: tag, 40: 0xfffffff0, 44: 4}, ""), 0, "data", "!asks for 4 bytes"},
		{"additional headers", append([]byte{0x21, 0x80, 0, 0, 1}, make([]byte, 43)...), 64, "", "!additional"},
		{"a huge segment", append([]byte{0x21, 0x80, 0, 0, 0, 0xff}, make([]byte, 42)...), 64, "", "!data segment"},
		{"did not reach its end", pdu(0x21, 0x80, map[int]uint32{0: 0x21800100, 16: tag}, ""), 64, "", "!response 0x01"},
		{"a login reply", pdu(0x23, 0x80, map[int]uint32{16: tag}, ""), 64, "", "!in the middle"},
		{"the end of the line", nil, 64, "", "!EOF"},
	} {
		r, conn, err := play(t, join(loggedIn(), c.script), []byte(c.out), c.in)
		if text, bad := strings.CutPrefix(c.want, "!"); bad {
			if err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %+v %v, want %q", c.name, r, err, text)
			}
			continue
		}
		if err != nil || string(r.Data) != c.want {
			t.Errorf("%s: %q %v, want %q", c.name, r.Data, err, c.want)
		}
		if c.name == "a ping in between" && !strings.Contains(conn.out.String(), "hello") {
			t.Errorf("%s: no answer to it", c.name)
		}
	}
	for name, script := range map[string][]byte{
		"digests":      join(pdu(0x23, 0x81, nil, ""), pdu(0x23, 0x87, nil, "HeaderDigest=CRC32C\x00")),
		"no length":    join(pdu(0x23, 0x81, nil, ""), pdu(0x23, 0x87, nil, "MaxBurstLength=many\x00")),
		"no end":       bytes.Repeat(pdu(0x23, 0x00, nil, ""), 20),
		"not a target": []byte("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
	} {
		if _, _, err := play(t, script, nil, 64); !errors.Is(err, iscsi.ErrProtocol) && !errors.Is(err, iscsi.ErrLogin) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// Whatever a target sends after the login: the session ends, and no answer is longer than what was asked for.
func FuzzTarget(f *testing.F) {
	f.Add(true, pdu(0x25, 0x81, map[int]uint32{16: tag, 32: 9}, "abc"))
	f.Add(true, join(pdu(0x20, 0x80, map[int]uint32{16: 0xffffffff, 20: 7, 32: 9}, "x"), pdu(0x21, 0x80, map[int]uint32{16: tag, 32: 9}, "\x00\x02ab")))
	f.Add(true, pdu(0x31, 0x80, map[int]uint32{16: tag, 44: 4}, ""))
	f.Add(false, loggedIn())
	f.Fuzz(func(t *testing.T, in bool, script []byte) {
		size := 0
		out := []byte("data")
		if in {
			size, out = 64, nil
		}
		for _, s := range [][]byte{join(loggedIn(), script), script} {
			if r, _, err := play(t, s, out, size); err == nil && len(r.Data) > size {
				t.Errorf("%d bytes, asked for %d", len(r.Data), size)
			}
		}
	})
}
