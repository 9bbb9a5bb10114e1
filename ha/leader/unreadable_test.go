package leader

import (
	"strings"
	"testing"

	"bascule/ha"
)

// tear makes a key undecodable: a field is of another type than the record's.
func (w *world) tear(key, value string) {
	w.rev++
	w.torn++
	w.kv[key] = ha.KV{Key: key, Value: []byte(value), ModRev: w.rev, CreateRev: w.rev}
}

// One guest's record cannot be read; the others are recovered, and people hear which key it is.
func TestUnreadableRecordStopsNobodyElse(t *testing.T) {
	for _, key := range []string{"guest/102", "guestreport/n1/102", "guestreport/n2/103", "guestreport/n9/102", "guest/1o2", "request/r7", "onboot/102", "node/n3", "fence/n3", "report/n3", "lease/n3"} {
		t.Run(strings.ReplaceAll(key, "/", "-"), func(t *testing.T) {
			w := newWorld(t, 3)
			w.guest(101, ha.QEMU, "n2")
			w.guest(102, ha.QEMU, "n1")
			w.guest(103, ha.QEMU, "n2")
			rev := w.kv[ha.KeyGuest(102)].ModRev
			w.tear(key, `{"schema":2,"holders":{"n2":1},"node":{},"guest":{},"id":{}}`)
			w.die("n2")
			w.run(30)
			w.wantNode("n2", ha.NodeFenced)
			w.wantGuest(101, ha.GuestStarting, "")
			if kv := w.kv[ha.KeyGuest(102)]; strings.HasPrefix(key, "guest") && strings.HasSuffix(key, "/102") && key != "guest/102" && kv.ModRev != rev {
				t.Fatalf("guest 102 was written: %s", kv.Value)
			}
			told := 0
			for _, x := range w.trans {
				if strings.Contains(x.Reason, key) && strings.HasPrefix(x.Reason, ha.Alarm) {
					told++
				}
			}
			if told != 1 {
				t.Fatalf("people were told %d times", told)
			}
		})
	}
}

// What was torn is put right: it goes on as if nothing had been.
func TestRepairedKeyIsTakenUpAgain(t *testing.T) {
	w := newWorld(t, 3)
	w.guest(101, ha.QEMU, "n2")
	good := w.kv[ha.KeyNode("n2")]
	w.tear("node/n2", `{"schema":2,"state":{}}`)
	w.die("n2")
	w.run(100)
	if len(w.sent) != 0 || w.g(101).State != ha.GuestStarted {
		t.Fatalf("something was decided about a node whose record cannot be read: %v, guest %s", w.sent, w.g(101).State)
	}
	w.rev++
	good.ModRev = w.rev
	w.kv[good.Key], w.torn = good, 0
	w.run(40)
	w.wantNode("n2", ha.NodeFenced)
	w.wantGuest(101, ha.GuestStarting, "n1")
	w.tear("guest/101", `{"schema":2,"holders":{}}`)
	w.run(5)
	w.del("guest/101")
	w.torn = 0
	w.boot("n1", boot("n1"))
	w.report("n1", func(r *ha.NodeReport) {
		r.Guests = []ha.GuestSeen{{ID: 101, Kind: ha.QEMU, Protected: true, Running: true, Memory: 1 << 30, Storages: []string{"ceph"}}}
	})
	w.run(5)
	w.wantGuest(101, ha.GuestStarted, "n1")
}

// A node that is not judged frees no guest, not even on paper.
func TestUnreadableFenceRecordDecidesNothing(t *testing.T) {
	w := newWorld(t, 3)
	w.guest(101, ha.QEMU, "n2")
	w.tear("fence/n2", `{"schema":2,"commanded":7}`)
	w.die("n2")
	w.run(50)
	w.wantGuest(101, ha.GuestStarted, "n2")
	if len(w.sent) != 0 {
		t.Fatalf("sent %v", w.sent)
	}
	w.del("fence/n2")
	w.torn = 0
	w.run(20)
	w.wantGuest(101, ha.GuestStarting, "n1")
}

// Who holds a guest whose record cannot be read is not known: the proofs about former boots stay for it.
func TestProofsStayForAnUnreadableGuest(t *testing.T) {
	w := newWorld(t, 3)
	w.guest(101, ha.QEMU, "n2")
	good := w.kv[ha.KeyGuest(101)]
	w.tear("guest/101", `{"schema":2,"holders":{}}`)
	w.boot("n2", "boot-n2b")
	w.run(20)
	w.wantNode("n2", ha.NodeOnline)
	w.rev++
	good.ModRev = w.rev
	w.kv[good.Key], w.torn = good, 0
	w.run(5)
	if g := w.g(101); g.State != ha.GuestStarting || g.Incarnation == boot("n2") {
		t.Fatalf("guest %+v", g)
	}
}

// Without the cluster record nothing can be decided: every assignment belongs to its epoch.
func TestUnreadableClusterRecordStopsAll(t *testing.T) {
	w := newWorld(t, 3)
	w.guest(101, ha.QEMU, "n2")
	w.tear("cluster", `{"schema":2,"epoch":"7"}`)
	rev := w.rev
	w.die("n2")
	w.run(50)
	if len(w.sent) != 0 || w.kv["cluster"].ModRev != rev || w.g(101).Node != "n2" {
		t.Fatalf("sent %v, cluster %s, guest %+v", w.sent, w.kv["cluster"].Value, w.g(101))
	}
}

// A newer daemon changed the type of a field: this one does not lead.
func TestNewerRecordOfAnotherShapeIsNotLed(t *testing.T) {
	w := newWorld(t, 3)
	w.guest(101, ha.QEMU, "n2")
	w.tear("guest/102", `{"schema":99,"holders":{"n2":1}}`)
	w.die("n2")
	rev := w.rev
	w.run(50)
	if w.rev != rev {
		t.Fatal("an older daemon led over newer records")
	}
}
