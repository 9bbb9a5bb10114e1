package scsitest

import (
	"encoding/binary"
	"slices"
)

// reserveIn answers PERSISTENT RESERVE IN, cut to the allocation length.
func (d *Disk) reserveIn(cdb []byte) (byte, []byte, []byte) {
	if d.fault == Rubbish {
		return Good, []byte("<html>"), nil
	}
	b := binary.BigEndian.AppendUint32(nil, d.gen)
	switch cdb[1] & 0x1f {
	case 0: // READ KEYS
		b = binary.BigEndian.AppendUint32(b, uint32(8*len(d.regs)))
		for _, r := range d.regs {
			b = binary.BigEndian.AppendUint64(b, r.Key)
		}
	case 1: // READ RESERVATION
		if !d.held {
			b = binary.BigEndian.AppendUint32(b, 0)
			break
		}
		b = binary.BigEndian.AppendUint32(b, 16)
		b = binary.BigEndian.AppendUint64(b, d.key(d.holder))
		b = append(b, 0, 0, 0, 0, 0, d.typ, 0, 0)
	case 2: // REPORT CAPABILITIES
		if d.NoCaps {
			return Check, nil, Sense(5, 0x24, 0)
		}
		b = []byte{0, 8, 0, 0x80, 0xea, 0x01, 0, 0}
		if d.APTPL {
			b[2] |= 1
		}
		if d.Exotic {
			b[4] &^= 0x20
		}
		if d.active {
			b[3] |= 1
		}
	default:
		return Check, nil, Sense(5, 0x24, 0)
	}
	return Good, b[:min(len(b), int(binary.BigEndian.Uint16(cdb[7:])))], nil
}

// reserveOut carries out PERSISTENT RESERVE OUT.
func (d *Disk) reserveOut(nexus string, cdb, out []byte) (byte, []byte, []byte) {
	action := cdb[1] & 0x1f
	d.heard = append(d.heard, action)
	if len(out) != 24 || binary.BigEndian.Uint32(cdb[5:]) != 24 {
		return Check, nil, Sense(5, 0x1a, 0)
	}
	if d.fault == Refuses {
		return Check, nil, Sense(5, 0x20, 2) // access denied
	}
	key, arg := binary.BigEndian.Uint64(out), binary.BigEndian.Uint64(out[8:])
	mine := d.key(nexus)
	if out[20]&^1 != 0 || out[20]&1 != 0 && !d.APTPL {
		return Check, nil, Sense(5, 0x26, 0)
	}
	switch action {
	case 0, 6:
		if action == 0 && key != mine {
			return Conflict, nil, nil
		}
		d.register(nexus, arg)
		d.active = out[20]&1 != 0 && !d.Forgets
		return Good, nil, nil
	}
	if mine == 0 || key != mine {
		return Conflict, nil, nil
	}
	switch action {
	case 1:
		return d.reserve(nexus, cdb[2]), nil, nil
	case 2: // RELEASE, by the holder
		d.held = d.held && d.holder != nexus
		return Good, nil, nil
	case 3: // CLEAR
		d.regs, d.held = nil, false
		d.gen++
		return Good, nil, nil
	case 4, 5:
		if action == 5 && !d.Abort {
			return Check, nil, Sense(5, 0x24, 0)
		}
		return d.preempt(nexus, arg, cdb[2]), nil, nil
	}
	return Check, nil, Sense(5, 0x24, 0)
}

// register changes, adds or removes a nexus' key. The reservation ends with its holder's registration.
func (d *Disk) register(nexus string, key uint64) {
	if key == 0 && d.held && d.holder == nexus {
		d.held = false
	}
	d.set(nexus, key)
	d.gen++
}

func (d *Disk) reserve(nexus string, typ byte) byte {
	if d.held && (d.holder != nexus || d.typ != typ) {
		return Conflict
	}
	d.holder, d.held, d.typ = nexus, true, typ
	return Good
}

// preempt removes every registration with a key; whoever preempts the holder holds from then on.
func (d *Disk) preempt(nexus string, key uint64, typ byte) byte {
	if !slices.ContainsFunc(d.regs, func(r Registration) bool { return r.Key == key }) {
		return Conflict
	}
	if d.fault == Lies {
		return Good
	}
	takes := d.held && d.key(d.holder) == key
	for _, r := range slices.Clone(d.regs) {
		if r.Key == key && r.Nexus != nexus {
			d.set(r.Nexus, 0)
			d.attention(r.Nexus, 0x2a, 0x05)
		}
	}
	if takes {
		d.holder, d.typ = nexus, typ
	}
	d.gen++
	return Good
}
