package scsitest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
)

// IQN is the name of every Target.
const IQN = "iqn.2026-01.internal.test:disks"

// Target serves disks over iSCSI on a loopback port, LUN 0 upwards. A nexus is "INITIATOR,ISID".
type Target struct {
	Disks []*Disk
	// R2T makes it ask for all data instead of taking it with the command.
	R2T bool
	// Forget makes registrations belong to a session, as some targets have it: each session is a nexus of its own.
	Forget bool
	// Deny refuses the login with this status.
	Deny uint16

	l     net.Listener
	mu    sync.Mutex
	conns map[net.Conn]bool
	names map[string]bool
	// sessions are those that last logged in, by nexus.
	sessions map[string]net.Conn
	made     int
	// address is where it listens, also after Stop.
	address string
}

// Serve starts a target; it ends with the test.
func (t *Target) Serve(tb testing.TB) *Target {
	tb.Helper()
	t.conns, t.names, t.sessions, t.address = map[net.Conn]bool{}, map[string]bool{}, map[string]net.Conn{}, "127.0.0.1:0"
	tb.Cleanup(t.Stop)
	t.Start(tb)
	return t
}

// Start listens again, on the same port, after Stop.
func (t *Target) Start(tb testing.TB) {
	tb.Helper()
	l, err := net.Listen("tcp", t.address)
	if err != nil {
		tb.Fatal(err)
	}
	t.l, t.address = l, l.Addr().String()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.mu.Lock()
			t.conns[c] = true
			t.made++
			id := t.made
			t.mu.Unlock()
			go func() {
				t.serve(c, id)
				c.Close()
				t.mu.Lock()
				delete(t.conns, c)
				t.mu.Unlock()
			}()
		}
	}()
}

// Stop makes the target unreachable and drops its connections.
func (t *Target) Stop() {
	t.l.Close()
	t.Drop()
}

// Drop ends all connections.
func (t *Target) Drop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.conns {
		c.Close()
	}
}

// Address is HOST:PORT.
func (t *Target) Address() string { return t.address }

// URL is a path to a disk as settings have it.
func (t *Target) URL(lun int) string { return fmt.Sprintf("iscsi://%s/%s/%d", t.Address(), IQN, lun) }

// Open is how many connections there are.
func (t *Target) Open() int { t.mu.Lock(); defer t.mu.Unlock(); return len(t.conns) }

// Initiators are the names that logged in.
func (t *Target) Initiators() map[string]bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := map[string]bool{}
	for n := range t.names {
		out[n] = true
	}
	return out
}

// link is one connection's state.
type link struct {
	t       *Target
	c       net.Conn
	nexus   string
	statSN  uint32
	cmdSN   uint32
	waiting map[uint32][]byte // headers of commands whose data is still to come, by tag
	data    map[uint32][]byte
}

func (t *Target) serve(c net.Conn, id int) {
	l := &link{t: t, c: c, waiting: map[uint32][]byte{}, data: map[uint32][]byte{}}
	for {
		h := make([]byte, 48)
		if _, err := io.ReadFull(c, h); err != nil {
			return
		}
		n := int(h[5])<<16 | int(h[6])<<8 | int(h[7])
		data := make([]byte, (n+3)&^3)
		if _, err := io.ReadFull(c, data); err != nil {
			return
		}
		if !l.take(h, data[:n], id) {
			return
		}
	}
}

func (l *link) take(h, data []byte, id int) bool {
	tag := binary.BigEndian.Uint32(h[16:])
	if h[0]&0x40 == 0 && h[0]&0x3f == 0x01 {
		l.cmdSN = binary.BigEndian.Uint32(h[24:]) + 1
	}
	switch h[0] & 0x3f {
	case 0x03:
		return l.login(h, data, id)
	case 0x01:
		want := int(binary.BigEndian.Uint32(h[20:]))
		if h[1]&0x20 != 0 && len(data) < want {
			l.waiting[tag], l.data[tag] = h, bytes.Clone(data)
			r := l.reply(0x31, h)
			binary.BigEndian.PutUint32(r[20:], tag+1000)
			binary.BigEndian.PutUint32(r[40:], uint32(len(data)))
			binary.BigEndian.PutUint32(r[44:], uint32(want-len(data)))
			return l.write(r, nil)
		}
		return l.execute(h, data)
	case 0x05:
		l.data[tag] = append(l.data[tag], data...)
		if h[1]&0x80 != 0 {
			return l.execute(l.waiting[tag], l.data[tag])
		}
	case 0x06:
		r := l.reply(0x26, h)
		return l.write(r, nil)
	}
	return true
}

// reply makes a header that answers h.
func (l *link) reply(op byte, h []byte) []byte {
	r := make([]byte, 48)
	r[0], r[1] = op, 0x80
	copy(r[16:20], h[16:20])
	binary.BigEndian.PutUint32(r[24:], l.statSN)
	binary.BigEndian.PutUint32(r[28:], l.cmdSN)
	binary.BigEndian.PutUint32(r[32:], l.cmdSN+8)
	return r
}

func (l *link) write(h, data []byte) bool {
	h[5], h[6], h[7] = byte(len(data)>>16), byte(len(data)>>8), byte(len(data))
	b := append(append(bytes.Clone(h), data...), make([]byte, -len(data)&3)...)
	_, err := l.c.Write(b)
	return err == nil
}

func (l *link) login(h, data []byte, id int) bool {
	l.cmdSN = binary.BigEndian.Uint32(h[24:])
	r := l.reply(0x23, h)
	r[1] = h[1]
	copy(r[8:14], h[8:14])
	r[15] = 1
	l.statSN++
	if l.t.Deny != 0 {
		binary.BigEndian.PutUint16(r[36:], l.t.Deny)
		l.write(r, nil)
		return false
	}
	for _, kv := range bytes.Split(data, []byte{0}) {
		if name, ok := bytes.CutPrefix(kv, []byte("InitiatorName=")); ok {
			l.nexus = fmt.Sprintf("%s,%x", name, h[8:14])
			if l.t.Forget {
				l.nexus += fmt.Sprintf(",session%d", id)
			}
			l.t.mu.Lock()
			l.t.names[string(name)] = true
			if old := l.t.sessions[l.nexus]; old != nil && old != l.c { // a session with the same port takes its place
				old.Close()
			}
			l.t.sessions[l.nexus] = l.c
			l.t.mu.Unlock()
		}
	}
	text := "AuthMethod=None\x00"
	if h[1]>>2&3 == 1 {
		text = "HeaderDigest=None\x00DataDigest=None\x00MaxRecvDataSegmentLength=512\x00FirstBurstLength=1024\x00ImmediateData=Yes\x00"
		if l.t.R2T {
			text += "ImmediateData=No\x00"
		}
	}
	return l.write(r, []byte(text))
}

func (l *link) execute(h, data []byte) bool {
	if h == nil { // data for a command that never came
		return false
	}
	lun := int(h[9])
	r := l.reply(0x21, h)
	if lun >= len(l.t.Disks) {
		r[3] = Check
		l.statSN++
		s := Sense(5, 0x25, 0)
		return l.write(r, append([]byte{0, byte(len(s))}, s...))
	}
	status, in, sense, hang := l.t.Disks[lun].Execute(l.nexus, h[32:48], data)
	if hang {
		return true
	}
	if want := int(binary.BigEndian.Uint32(h[20:])); h[1]&0x40 != 0 && len(in) > 0 {
		d := l.reply(0x25, h)
		d[1] = 0x80
		if !l.write(d, in[:min(len(in), want)]) {
			return false
		}
	}
	r[3] = status
	l.statSN++
	if len(sense) > 0 {
		return l.write(r, append([]byte{0, byte(len(sense))}, sense...))
	}
	return l.write(r, nil)
}
