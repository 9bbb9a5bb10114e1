//go:build fencingreal

package scsitest

import (
	"context"
	"os/exec"
	"testing"
	"time"
)

// TestRealConformance lets libiscsi's conformance tests judge the disk in memory, so that what is tested against it is tested against
// the standard as somebody else reads it. Left out are tests of what the disk does not have: READ FULL STATUS and the All Registrants types.
func TestRealConformance(t *testing.T) {
	const suite = "iscsi-test-cu"
	if _, err := exec.LookPath(suite); err != nil {
		t.Skip("needs iscsi-test-cu (package libiscsi-bin)")
	}
	for _, name := range []string{"PrinReadKeys", "ProutRegister", "ProutPreempt", "ProutClear", "ProutReserve.AccessWERO", "ProutReserve.OwnershipWERO"} {
		t.Run(name, func(t *testing.T) {
			target := (&Target{Disks: []*Disk{{ID: "x", Abort: true, APTPL: true}}}).Serve(t)
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			if out, err := exec.CommandContext(ctx, suite, "--dataloss", "--test=SCSI."+name, target.URL(0)).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out[max(0, len(out)-1500):])
			}
		})
	}
}
