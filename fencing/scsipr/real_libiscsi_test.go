//go:build fencingreal

package scsipr

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// libiscsiLook reads the keys and the reservation with libiscsi: somebody else's initiator and somebody else's decoder.
const libiscsiLook = `
import ctypes, sys
l = ctypes.CDLL("libiscsi.so.7")
P, I = ctypes.c_void_p, ctypes.c_int
l.iscsi_create_context.restype = P
l.iscsi_get_error.restype = ctypes.c_char_p
l.iscsi_persistent_reserve_in_sync.restype = P
l.iscsi_testunitready_sync.restype = P
l.scsi_datain_unmarshall.restype = P
portal, target, lun = sys.argv[1].encode(), sys.argv[2].encode(), int(sys.argv[3])
c = P(l.iscsi_create_context(b"iqn.2026-01.internal.test:libiscsi"))
l.iscsi_set_targetname(c, target)
l.iscsi_set_session_type(c, 2)
if l.iscsi_full_connect_sync(c, portal, lun) != 0:
    sys.exit("connect: %s" % l.iscsi_get_error(c))
class Keys(ctypes.Structure):
    _fields_ = [("gen", ctypes.c_uint32), ("length", I), ("num", I), ("keys", ctypes.c_uint64 * 64)]
class Held(ctypes.Structure):
    _fields_ = [("gen", ctypes.c_uint32), ("length", I), ("held", I), ("key", ctypes.c_uint64), ("scope", ctypes.c_uint8), ("type", ctypes.c_uint8)]
def ask(action, kind):
    task = l.iscsi_persistent_reserve_in_sync(c, lun, action, 8192)
    return ctypes.cast(l.scsi_datain_unmarshall(P(task)), ctypes.POINTER(kind)).contents
k = ask(0, Keys)
print("keys", " ".join("%016x" % k.keys[i] for i in range(k.num)))
h = ask(1, Held)
print("reservation %016x type %d" % (h.key, h.type))
`

// others demands that libiscsi sees exactly these keys, as often as it may, and a reservation of type 5.
func others(t *testing.T, g *tgt, lun int, want ...Key) string {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Log("no python3: the look through libiscsi is left out")
		return ""
	}
	out, err := exec.Command(python, "-c", libiscsiLook, g.address, tgtIQN, fmt.Sprint(lun)).CombinedOutput()
	if err != nil && bytes.Contains(out, []byte("cannot open shared object")) {
		t.Log("no libiscsi: the look through it is left out")
		return ""
	}
	if err != nil {
		t.Fatalf("libiscsi: %v: %s", err, out)
	}
	text := string(out)
	t.Logf("libiscsi sees on LUN %d: %s", lun, strings.ReplaceAll(strings.TrimSpace(text), "\n", "; "))
	for _, k := range want {
		if !strings.Contains(text, k.String()) {
			t.Errorf("libiscsi does not see %s: %s", k, text)
		}
	}
	if !strings.Contains(text, "type 5") {
		t.Errorf("libiscsi sees no reservation of type 5: %s", text)
	}
	return text
}
