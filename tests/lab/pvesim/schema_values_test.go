package pvesim

import (
	"fmt"
	"strings"
)

// goodValues of the formats that are checked.
var goodValues = map[string]string{"pve-node": "n2", "pve-vmid": "999", "pve-storage-id": "shared", "pve-configid": "snap1", "pve-configid-list": "tags",
	"pve-poolid": "ha", "pve-realm": "pam", "pve-priv-list": "VM.Audit", "pve-tag-list": "ha;web", "pve-ha-resource-or-vm-id": "vm:999",
	"pve-task-status-type-list": "ok,error", "pve-storage-content-list": "images", "dns-name": "web1.example", "dns-name-list": "example.com",
	"urlencoded": "a%20b", "storage-pair-list": "shared:shared", "pve-startup-order": "order=1,up=5", "CIDR": "10.0.0.0/24", "pve-qm-memory": "current=64"}

func goodValue(p param) string {
	switch {
	case p.enum != nil:
		return p.enum[0]
	case goodValues[p.format] != "":
		return goodValues[p.format]
	case p.pattern != "":
		for _, v := range []string{"root@pam", "net0=1500", "now", "socket", "/dev/parport0", "0", "scsi0", "a", "A=b"} {
			if p.matcher.MatchString(v) {
				return v
			}
		}
	case p.kind == "boolean":
		return "1"
	case p.kind != "string":
		if p.min != "" {
			return p.min
		}
		return "1"
	}
	return "x"
}

// badValue is a value that has to be refused, and how the refusal begins. "": every string is good.
func badValue(name string, p param) (value, refusal string) {
	switch {
	case p.kind != "string":
		return "true", "type check ('" + p.kind + "') failed - got 'true'"
	case p.format != "":
		return "!é,", "invalid format - "
	case p.pattern != "":
		return "\x01!", "value does not match the regex pattern"
	case p.enum != nil:
		return "nosuch", "value 'nosuch' does not have a value in the enumeration '" + strings.Join(p.enum, ", ") + "'"
	case p.maxLen > 0:
		return strings.Repeat("ä", p.maxLen+1), fmt.Sprintf("value may only be %d characters long", p.maxLen)
	}
	return "", ""
}
