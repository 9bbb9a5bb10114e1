package scsipr

import "encoding/binary"

// Operation codes, of SPC-4.
const (
	opInquiry    = 0x12
	opReserveIn  = 0x5e
	opReserveOut = 0x5f
)

// Service actions of PERSISTENT RESERVE IN.
const (
	inKeys         = 0x00
	inReservation  = 0x01
	inCapabilities = 0x02
	inFullStatus   = 0x03
)

// Service actions of PERSISTENT RESERVE OUT that are ever sent.
const (
	outRegister     = 0x00
	outReserve      = 0x01
	outPreempt      = 0x04
	outPreemptAbort = 0x05
	outRegisterOver = 0x06 // REGISTER AND IGNORE EXISTING KEY
)

// writeExclusiveRO is the type "Write Exclusive – Registrants Only": everybody reads, only who is registered writes.
const writeExclusiveRO = 5

// maxAnswer is the longest allocation length: it has 16 bits, and some targets count in whole keys.
const maxAnswer = 0xfff8

// reserveIn makes a PERSISTENT RESERVE IN.
func reserveIn(action byte, size int) []byte {
	cdb := make([]byte, 10)
	cdb[0], cdb[1] = opReserveIn, action
	binary.BigEndian.PutUint16(cdb[7:], uint16(size))
	return cdb
}

// order is a PERSISTENT RESERVE OUT.
type order struct {
	action byte
	key    Key // of whoever sends it
	arg    Key // the key that it is about
	aptpl  bool
}

// reserving says whether the order carries scope and type.
func (o order) reserving() bool {
	return o.action == outReserve || o.action == outPreempt || o.action == outPreemptAbort
}

// encode makes the order's command and its parameter list of 24 bytes. The scope is always the logical unit.
func (o order) encode() (cdb, list []byte) {
	cdb, list = make([]byte, 10), make([]byte, 24)
	cdb[0], cdb[1] = opReserveOut, o.action
	if o.reserving() {
		cdb[2] = writeExclusiveRO
	}
	binary.BigEndian.PutUint32(cdb[5:], uint32(len(list)))
	binary.BigEndian.PutUint64(list, uint64(o.key))
	binary.BigEndian.PutUint64(list[8:], uint64(o.arg))
	if o.aptpl {
		list[20] = 1
	}
	return cdb, list
}

// decodeOrder is encode's inverse, for the transport that has to say the same in words.
func decodeOrder(cdb, list []byte) (order, bool) {
	if len(cdb) != 10 || cdb[0] != opReserveOut || len(list) != 24 {
		return order{}, false
	}
	o := order{
		action: cdb[1] & 0x1f, aptpl: list[20]&1 != 0,
		key: Key(binary.BigEndian.Uint64(list)), arg: Key(binary.BigEndian.Uint64(list[8:])),
	}
	return o, true
}

// identityPage makes an INQUIRY for the page that names the unit (VPD 83h).
func identityPage(size int) []byte {
	return []byte{opInquiry, 1, 0x83, byte(size >> 8), byte(size), 0}
}
