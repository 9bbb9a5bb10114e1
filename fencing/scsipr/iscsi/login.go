package iscsi

import (
	"fmt"
	"strconv"
	"strings"
)

// The stages of a login.
const (
	stageSecurity = 0
	stageOperate  = 1
	stageFull     = 3
)

// maxLoginRounds bounds the questions and answers of one stage.
const maxLoginRounds = 8

// limits are what both sides agreed on.
type limits struct {
	immediate  bool // data may travel with the command
	firstBurst int  // at most so much of it
	segment    int  // longest data segment that the target takes
	burst      int  // longest answer to one R2T
}

// login goes through both stages: no authentication, then the operational parameters.
func (s *Session) login(initiator, target string) error {
	s.agreed = limits{immediate: true, firstBurst: 64 << 10, segment: 8 << 10, burst: 256 << 10} // the standard's defaults for silence
	err := s.stage(stageSecurity, stageOperate, [][2]string{
		{"InitiatorName", initiator}, {"TargetName", target}, {"SessionType", "Normal"}, {"AuthMethod", "None"},
	})
	if err != nil {
		return err
	}
	return s.stage(stageOperate, stageFull, [][2]string{
		{"HeaderDigest", "None"}, {"DataDigest", "None"}, {"ErrorRecoveryLevel", "0"}, {"MaxConnections", "1"},
		{"InitialR2T", "Yes"}, {"ImmediateData", "Yes"}, {"MaxBurstLength", "262144"}, {"FirstBurstLength", "65536"},
		{"MaxRecvDataSegmentLength", strconv.Itoa(maxSegment)}, {"MaxOutstandingR2T", "1"},
		{"DefaultTime2Wait", "0"}, {"DefaultTime2Retain", "0"}, {"DataPDUInOrder", "Yes"}, {"DataSequenceInOrder", "Yes"},
	})
}

// stage offers keys and goes on, with empty requests, until the target moves to the next stage.
func (s *Session) stage(from, to byte, offer [][2]string) error {
	text := keyText(offer)
	for range maxLoginRounds {
		h := &header{immediate | opLogin, final | from<<2 | to}
		copy(h[8:14], s.isid[:])
		h[14], h[15] = byte(s.tsih>>8), byte(s.tsih)
		h.set32(16, s.tag)
		h.set32(24, s.cmdSN)
		h.set32(28, s.expStatSN)
		if err := send(s.conn, h, text); err != nil {
			return err
		}
		r, data, err := receive(s.conn)
		if err != nil {
			return err
		}
		if err := loginRefused(r); err != nil {
			return err
		}
		s.expStatSN, s.maxCmdSN = r.u32(24)+1, r.u32(32)
		if from == stageOperate {
			if err := s.agree(data); err != nil {
				return err
			}
		}
		if r[1]&final != 0 && r[1]>>2&3 == from && r[1]&3 == to {
			s.tsih = uint16(r[14])<<8 | uint16(r[15])
			return nil
		}
		text = nil
	}
	return fmt.Errorf("%w: the login comes to no end", ErrProtocol)
}

// loginRefused turns the status of a login reply into an error.
func loginRefused(r *header) error {
	if r.op() != opLoginReply {
		return fmt.Errorf("%w: answered the login with PDU %#02x", ErrProtocol, r.op())
	}
	status := uint16(r[36])<<8 | uint16(r[37])
	switch {
	case status == 0:
		return nil
	case r[36] == 1:
		return fmt.Errorf("%w: the target has moved to another address: write that address", ErrLogin)
	case status == 0x0201:
		return fmt.Errorf("%w: it demands a password (CHAP), which is not supported: let this initiator name in without", ErrLogin)
	case status == 0x0202:
		return fmt.Errorf("%w: this initiator name has no access: add it on the target", ErrLogin)
	case status == 0x0203:
		return fmt.Errorf("%w: there is no such target", ErrLogin)
	}
	return fmt.Errorf("%w: status %#04x", ErrLogin, status)
}

// agree takes over what the target says of the limits.
func (s *Session) agree(text []byte) error {
	for _, pair := range strings.Split(string(text), "\x00") {
		key, value, _ := strings.Cut(pair, "=")
		var number *int
		switch key {
		case "HeaderDigest", "DataDigest":
			if value != "None" {
				return fmt.Errorf("%w: the target insists on digests", ErrLogin)
			}
		case "ImmediateData":
			s.agreed.immediate = value == "Yes"
		case "FirstBurstLength":
			number = &s.agreed.firstBurst
		case "MaxBurstLength":
			number = &s.agreed.burst
		case "MaxRecvDataSegmentLength":
			number = &s.agreed.segment
		}
		if number == nil {
			continue
		}
		n, err := strconv.ParseInt(value, 0, 32)
		if err != nil || n < 512 || n > 1<<24-1 {
			return fmt.Errorf("%w: %s is no length", ErrProtocol, key)
		}
		*number = int(n)
	}
	return nil
}

// keyText is the form in which keys travel.
func keyText(pairs [][2]string) []byte {
	var b strings.Builder
	for _, p := range pairs {
		b.WriteString(p[0] + "=" + p[1] + "\x00")
	}
	return []byte(b.String())
}
