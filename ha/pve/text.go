package pve

import "strings"

// boolean reads a value as Proxmox does.
func boolean(s string) (value, understood bool) {
	switch strings.ToLower(s) {
	case "1", "on", "yes", "true":
		return true, true
	case "0", "off", "no", "false":
		return false, true
	}
	return false, false
}

func isOn(s string) bool {
	on, _ := boolean(s)
	return on
}

// List splits Proxmox's lists: tags, VMIDs, nodes, privileges.
func List(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(";, \t\r\n\x00", r) })
}
