package pve

import (
	"regexp"
	"strconv"

	"bascule/ha"
)

// vmidFile is a guest's configuration.
var vmidFile = regexp.MustCompile(`^([1-9][0-9]{2,8})\.conf$`)

// GuestOf tells which guest a file is the configuration of, by its name in qemu-server or lxc. Proxmox takes no other name for one (099.conf,
// 101.conf.tmp.7).
func GuestOf(file string) (ha.VMID, bool) {
	m := vmidFile.FindStringSubmatch(file)
	if m == nil {
		return 0, false
	}
	id, err := strconv.Atoi(m[1])
	return ha.VMID(id), err == nil
}
