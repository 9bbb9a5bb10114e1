//go:build fencingreal

package storagereal

import (
	"testing"
	"time"

	"bascule/fencing/fencingtest/realvm"
)

// TestRealLVMOnISCSI: in a virtual machine, because this machine's kernel may have neither SCSI disks nor the device mapper.
func TestRealLVMOnISCSI(t *testing.T) {
	realvm.Machine{
		Modules: []string{"crc32c_generic", "iscsi_tcp", "sd_mod", "dm-multipath", "dm-service-time", "ext4"},
		Programs: map[string]string{"tgtd": "usr/sbin/tgtd", "tgtadm": "usr/sbin/tgtadm", "iscsistart": "usr/sbin/iscsistart", "multipathd": "usr/sbin/multipathd",
			"lvm": "usr/sbin/lvm", "dmsetup": "usr/sbin/dmsetup", "mkfs.ext4": "usr/sbin/mkfs.ext4"}, // of tgt, open-iscsi, multipath-tools, lvm2, dmsetup, e2fsprogs
		Files: []string{"/lib/multipath/*.so", "/lib/*/libgcc_s.so.1"},
		Tests: "LVM", Want: 1, Limit: 4 * time.Minute,
	}.Run(t)
}
