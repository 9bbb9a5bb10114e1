package pvesim

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// upid is a task's identity, as its worker's title and all API calls carry it.
type upid struct {
	node   string
	pid    int
	pstart uint64 // clock ticks
	start  int64  // seconds since 1970
	kind   string // qmstart, vzmigrate …
	id     string // VMID, or empty
	user   string // "root@pam" or "user@realm!token"
}

func (u upid) String() string {
	return fmt.Sprintf("UPID:%s:%08X:%08X:%08X:%s:%s:%s:", u.node, u.pid, u.pstart, u.start, u.kind, u.id, u.user)
}

var upidPattern = regexp.MustCompile(`^UPID:([a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?):([0-9A-Fa-f]{8}):([0-9A-Fa-f]{8,9}):([0-9A-Fa-f]{8}):([^:\s/]+):([^:\s/]*):([^:\s/]+):$`)

func parseUPID(s string) (upid, bool) {
	m := upidPattern.FindStringSubmatch(s)
	if m == nil {
		return upid{}, false
	}
	pid, err1 := strconv.ParseInt(m[3], 16, 64)
	pstart, err2 := strconv.ParseUint(m[4], 16, 64)
	start, err3 := strconv.ParseInt(m[5], 16, 64)
	if err1 != nil || err2 != nil || err3 != nil {
		return upid{}, false
	}
	return upid{node: m[1], pid: int(pid), pstart: pstart, start: start, kind: m[6], id: m[7], user: m[8]}, true
}

// row is what lists and status have in common.
func (u upid) row() object {
	user, token, isToken := strings.Cut(u.user, "!")
	row := object{"upid": u.String(), "node": u.node, "pid": u.pid, "pstart": u.pstart, "starttime": u.start, "type": u.kind, "id": u.id, "user": user}
	if isToken {
		row["tokenid"] = token
	}
	return row
}
