//go:build fencingreal

package scsipr

import (
	"testing"
	"time"

	"bascule/fencing/fencingtest/realvm"
)

// The TestGuest… tests run in virtual machines: LIO, the target of the Linux kernel, with its disks attached by the kernel's own
// initiator, and so through SG_IO; with multipath; and over the initiator in user space.
func TestRealKernelDisks(t *testing.T)  { inVM(t, "Disk", 2) }
func TestRealMultipath(t *testing.T)    { inVM(t, "Multipath", 1) }
func TestRealKernelTarget(t *testing.T) { inVM(t, "Portal", 2) }

// inVM runs the guest's tests with this beginning; so many have to pass.
func inVM(t *testing.T, tests string, want int) {
	realvm.Machine{
		Modules: []string{"crc32c_generic", "target_core_mod", "target_core_file", "iscsi_target_mod", "iscsi_tcp", "sd_mod", "dm-multipath", "dm-service-time", "scsi_dh_alua"},
		Programs: map[string]string{"mpathpersist": "usr/sbin/mpathpersist", "multipathd": "usr/sbin/multipathd", "iscsistart": "usr/sbin/iscsistart",
			"sg_persist": "usr/bin/sg_persist"}, // of the packages multipath-tools, open-iscsi, sg3-utils
		Files: []string{"/lib/multipath/*.so", "/lib/*/libgcc_s.so.1"}, // the latter is opened by multipathd, when a thread of its ends
		Tests: tests, Want: want, Limit: 58 * time.Second,
	}.Run(t)
}
