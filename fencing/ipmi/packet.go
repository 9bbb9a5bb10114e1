package ipmi

import (
	"encoding/binary"
	"fmt"

	"github.com/bougou/go-ipmi/pkg/types"

	"bascule/fencing"
)

// Sizes and constants of an RMCP+ packet (IPMI 2.0, 13.6).
const (
	rmcpLen     = 4  // RMCP header
	headerLen   = 16 // RMCP header and RMCP+ session header
	blockLen    = 16 // AES
	maxPacket   = 1024
	nextHeader  = 0x07
	rmcpVersion = 0x06
	classIPMI   = 0x07
	flagEncrypt = 0x80
	flagSigned  = 0x40
	maskPayload = 0x3f
	bmcAddress  = 0x20
	consoleSWID = 0x81
	answerBit   = 1  // in the network function of an answer
	minAnswer   = 7  // of an IPMI answer: up to the completion code
	maxRqSeq    = 63 // six bits
)

// packet is a parsed RMCP+ packet. Its raw bytes are what the integrity code covers.
type packet struct {
	raw     []byte
	kind    types.PayloadType
	signed  bool // says it is; sessionKeys.signed checks
	crypted bool
	session uint32
	payload []byte
}

// parse takes a datagram apart. Errors wrap fencing.ErrRubbish. It trusts nothing: anybody can send a datagram.
func parse(p []byte) (packet, error) {
	if len(p) < headerLen || p[0] != rmcpVersion || p[3] != classIPMI || p[4] != uint8(types.AuthTypeRMCPPlus) {
		return packet{}, fmt.Errorf("%w: %d bytes that are no RMCP+ packet", fencing.ErrRubbish, len(p))
	}
	out := packet{
		raw: p, kind: types.PayloadType(p[5] & maskPayload), signed: p[5]&flagSigned != 0, crypted: p[5]&flagEncrypt != 0,
		session: binary.LittleEndian.Uint32(p[6:10]),
	}
	n := int(binary.LittleEndian.Uint16(p[14:16]))
	if out.kind == types.PayloadTypeOEM || headerLen+n > len(p) {
		return packet{}, fmt.Errorf("%w: an RMCP+ packet of %d bytes that claims a payload of %d", fencing.ErrRubbish, len(p), n)
	}
	out.payload = p[headerLen : headerLen+n]
	return out, nil
}

// build makes a packet without trailer.
func build(kind types.PayloadType, flags uint8, session, seq uint32, payload []byte) []byte {
	p := make([]byte, headerLen, headerLen+len(payload)+32)
	p[0], p[2], p[3], p[4], p[5] = rmcpVersion, 0xff, classIPMI, uint8(types.AuthTypeRMCPPlus), uint8(kind)|flags
	binary.LittleEndian.PutUint32(p[6:], session)
	binary.LittleEndian.PutUint32(p[10:], seq)
	binary.LittleEndian.PutUint16(p[14:], uint16(len(payload)))
	return append(p, payload...)
}

// request is the bytes of an IPMI command.
func request(cmd types.Command, rqSeq uint8, data []byte) []byte {
	r := types.IPMIRequest{
		ResponderAddr: bmcAddress, NetFn: cmd.NetFn, RequesterAddr: consoleSWID, RequesterSequence: rqSeq,
		Command: cmd.ID, CommandData: data,
	}
	r.ComputeChecksum()
	return r.Pack()
}

// answer is what a controller says to a command.
type answer struct {
	code types.CompletionCode
	data []byte
}

// parseAnswer reads an IPMI message; ours is false if it answers something else than this command. Checksums are not
// looked at: the packet's integrity code has been, and firmwares get them wrong.
func parseAnswer(msg []byte, cmd types.Command, rqSeq uint8) (a answer, ours bool, err error) {
	if len(msg) < minAnswer {
		return answer{}, false, fmt.Errorf("%w: an answer of %d bytes", fencing.ErrRubbish, len(msg))
	}
	var r types.IPMIResponse
	if err := r.Unpack(msg); err != nil {
		return answer{}, false, fmt.Errorf("%w: %w", fencing.ErrRubbish, err)
	}
	if r.NetFn != cmd.NetFn|answerBit || r.Command != cmd.ID || r.RequesterSequence != rqSeq {
		return answer{}, false, nil
	}
	return answer{types.CompletionCode(r.CompletionCode), r.Data}, true, nil
}
