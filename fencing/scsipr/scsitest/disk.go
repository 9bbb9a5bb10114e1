package scsitest

import (
	"encoding/binary"
	"slices"
	"sync"
)

// SCSI statuses.
const (
	Good      = 0x00
	Check     = 0x02
	Busy      = 0x08
	Conflict  = 0x18
	blockSize = 512
)

// Fault is one way in which a disk fails.
type Fault string

// The faults.
const (
	Healthy  Fault = "healthy"
	Hangs    Fault = "hangs"    // takes commands and never answers
	Rubbish  Fault = "rubbish"  // answers nonsense to PERSISTENT RESERVE IN
	Lies     Fault = "lies"     // accepts a PREEMPT and does nothing
	Refuses  Fault = "refuses"  // says no to PERSISTENT RESERVE OUT
	NotReady Fault = "notready" // answers NOT READY to everything
	BusyOnce Fault = "busy"     // answers BUSY once, then works
)

// Registration is a nexus with its key.
type Registration struct {
	Nexus string
	Key   uint64
}

// Disk is one logical unit. The zero value works, without PREEMPT AND ABORT and APTPL.
type Disk struct {
	ID      string // designator, empty: none
	Abort   bool   // knows PREEMPT AND ABORT
	APTPL   bool   // keeps reservations over a power loss
	Forgets bool   // takes the bit APTPL and does not keep anything
	NoCaps  bool   // knows no REPORT CAPABILITIES
	Plain   bool   // knows no persistent reservations at all
	Exotic  bool   // knows reservations, but not the type that fencing needs
	Blocks  int    // default 64
	// OnReply is called after each command, before its answer goes out.
	OnReply func(cdb []byte)

	mu      sync.Mutex
	fault   Fault
	gen     uint32
	regs    []Registration
	holder  string // nexus
	held    bool
	typ     byte
	active  bool // APTPL
	pending map[string][][2]byte
	seen    map[string]bool
	data    map[uint32][]byte
	heard   []byte // service actions of PERSISTENT RESERVE OUT, refused ones too
}

// Break gives the disk a fault in place of the one it had.
func (d *Disk) Break(f Fault) { d.mu.Lock(); defer d.mu.Unlock(); d.fault = f }

// Heard returns the service actions of PERSISTENT RESERVE OUT that reached the disk.
func (d *Disk) Heard() []byte { d.mu.Lock(); defer d.mu.Unlock(); return slices.Clone(d.heard) }

// Keys returns the registrations, in order.
func (d *Disk) Keys() []Registration { d.mu.Lock(); defer d.mu.Unlock(); return slices.Clone(d.regs) }

// Reservation returns the type of the reservation and its holder's key; 0 if there is none.
func (d *Disk) Reservation() (typ byte, key uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.held {
		return 0, 0
	}
	return d.typ, d.key(d.holder)
}

// Put registers a key for a nexus behind everybody's back; 0 removes it.
func (d *Disk) Put(nexus string, key uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.set(nexus, key)
	d.gen++
}

// Hold puts a reservation of a type there, held by a nexus; type 0 removes it.
func (d *Disk) Hold(nexus string, typ byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.holder, d.held, d.typ = nexus, typ != 0, typ
}

// PowerLoss is a restart of the target: reservations survive only where they were to.
func (d *Disk) PowerLoss() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen = nil
	if !d.active {
		d.regs, d.held, d.gen = nil, false, 0
	}
}

func (d *Disk) key(nexus string) uint64 {
	for _, r := range d.regs {
		if r.Nexus == nexus {
			return r.Key
		}
	}
	return 0
}

func (d *Disk) set(nexus string, key uint64) {
	d.regs = slices.DeleteFunc(d.regs, func(r Registration) bool { return r.Nexus == nexus && key == 0 })
	for i := range d.regs {
		if d.regs[i].Nexus == nexus {
			d.regs[i].Key = key
			return
		}
	}
	if key != 0 {
		d.regs = append(d.regs, Registration{nexus, key})
	}
}

// attention queues a unit attention for a nexus.
func (d *Disk) attention(nexus string, asc, ascq byte) {
	if d.pending == nil {
		d.pending = map[string][][2]byte{}
	}
	d.pending[nexus] = append(d.pending[nexus], [2]byte{asc, ascq})
}

// Sense makes fixed-format sense data.
func Sense(key, asc, ascq byte) []byte {
	s := make([]byte, 18)
	s[0], s[2], s[7], s[12], s[13] = 0x70, key, 10, asc, ascq
	return s
}

// Execute carries out one command of a nexus. hang: no answer is to be given.
func (d *Disk) Execute(nexus string, cdb, out []byte) (status byte, in, sense []byte, hang bool) {
	if d.OnReply != nil {
		defer d.OnReply(cdb)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch d.fault {
	case Hangs:
		return 0, nil, nil, true
	case NotReady:
		return Check, nil, Sense(2, 4, 0), false
	case BusyOnce:
		d.fault = Healthy
		return Busy, nil, nil, false
	}
	if d.seen == nil {
		d.seen = map[string]bool{}
	}
	if !d.seen[nexus] {
		d.seen[nexus] = true
		d.attention(nexus, 0x29, 0)
	}
	if q := d.pending[nexus]; len(q) > 0 && cdb[0] != 0x12 {
		d.pending[nexus] = q[1:]
		return Check, nil, Sense(6, q[0][0], q[0][1]), false
	}
	status, in, sense = d.command(nexus, cdb, out)
	return status, in, sense, false
}

func (d *Disk) command(nexus string, cdb, out []byte) (byte, []byte, []byte) {
	switch cdb[0] {
	case 0x00: // TEST UNIT READY
		return Good, nil, nil
	case 0x12:
		return d.inquiry(cdb)
	case 0x25: // READ CAPACITY (10)
		return Good, binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 0x3fff), blockSize), nil
	case 0x2a: // WRITE (10)
		if d.held && d.typ == 5 && d.key(nexus) == 0 {
			return Conflict, nil, nil
		}
		if d.data == nil {
			d.data = map[uint32][]byte{}
		}
		d.data[binary.BigEndian.Uint32(cdb[2:])] = slices.Clone(out)
		return Good, nil, nil
	case 0x28: // READ (10) of what one WRITE wrote
		b := d.data[binary.BigEndian.Uint32(cdb[2:])]
		if b == nil {
			b = make([]byte, blockSize)
		}
		return Good, b, nil
	case 0x5e, 0x5f:
		if d.Plain {
			break
		}
		if cdb[0] == 0x5f {
			return d.reserveOut(nexus, cdb, out)
		}
		return d.reserveIn(cdb)
	}
	return Check, nil, Sense(5, 0x20, 0)
}

func (d *Disk) inquiry(cdb []byte) (byte, []byte, []byte) {
	if cdb[1]&1 == 0 {
		return Good, append([]byte{0, 0, 6, 2, 31}, make([]byte, 31)...), nil
	}
	if cdb[2] != 0x83 || d.ID == "" {
		return Check, nil, Sense(5, 0x24, 0)
	}
	page := []byte{0, 0x83, 0, byte(4 + len(d.ID)), 0x02, 0x01, 0, byte(len(d.ID))}
	return Good, append(page, d.ID...), nil
}
