package leader

import (
	"strings"
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/ladder"
)

// A guest that was destroyed while another node may still hold something of it: the record is all that is known of that holder.
func TestDestroyedGuestKeepsItsRecordWhileOthersHoldIt(t *testing.T) {
	w := newWorld(t, 3)
	w.guest(101, ha.QEMU, "n2")
	g := w.g(101)
	g.Holders = append(g.Holders, ha.Holder{Node: "n3", Incarnation: boot("n3"), Generation: g.Generation})
	w.put(ha.KeyGuest(101), g)
	w.report("n2", func(r *ha.NodeReport) { r.Guests = nil })
	w.put(ha.KeyGuestReport("n2", 101), ha.GuestReport{Guest: 101, Node: "n2", Incarnation: boot("n2"), Generation: g.Generation, Phase: ha.PhaseReleased, ConfigGone: true})
	w.run(10)
	w.wantGuest(101, ha.GuestStopping, "n2")
	if r := w.g(101).Reason; !strings.Contains(r, "waiting for n3") {
		t.Fatalf("reason %q", r)
	}
	w.put(ha.KeyGuestReport("n3", 101), ha.GuestReport{Guest: 101, Node: "n3", Incarnation: boot("n3"), Generation: g.Generation, Phase: ha.PhaseReleased})
	w.run(3)
	if _, there := w.snapshot().Guests[101]; there {
		t.Fatal("nobody holds it any more, and it is still there")
	}
}

// The answer to a device's check is lost: the device is looked at again.
func TestLostAnswerOfACheckDoesNotBlockTheDevice(t *testing.T) {
	w := newWorld(t, 3)
	w.boot("n2", "boot-n2b")
	for range 10 {
		if w.run(1); w.node("n2").State == ha.NodeOnline && len(w.pending) > 0 {
			break
		}
	}
	w.pending = nil
	w.run(150)
	if c := w.node("n2").Devices[0]; !c.Identified("boot-n2b") {
		t.Fatalf("15 s later: %+v", c)
	}
}

// With patient timing daemon_grace is shorter than the time that a fresh leader gives the others to come back.
func TestDaemonGraceDoesNotShortenAFreshLeadersPatience(t *testing.T) {
	w := newWorld(t, 3)
	w.tm, _ = ha.Profile("patient")
	w.takeOver()
	w.state = State{}
	w.cut("n2")
	w.coro.Online = append(w.coro.Online, "n2")
	w.run(180)
	w.wantNode("n2", ha.NodeSuspect)
	w.run(40)
	if s := w.node("n2").State; s != ha.NodeFencing && s != ha.NodeFenced {
		t.Fatalf("n2 is %s", s)
	}
}

// A silent BMC at level 1 and a strip at level 2 that reads off: that is read at once, and is a proof.
func TestPowerOfADeeperLevelIsReadAtOnce(t *testing.T) {
	w := newWorld(t, 3)
	w.leader.Plans["n2"] = ladder.Plan{Levels: [][]ladder.Device{{{Name: "n2-bmc", Kind: ha.PowerDevice}}, {{Name: "n2-pdu", Kind: ha.PowerDevice}}}}
	w.device["n2-pdu"] = &bmc{power: ha.PowerOn, uuid: uuidOf("n2")}
	w.guest(101, ha.QEMU, "n2")
	w.run(10)
	w.gossip["n2"] = ha.GossipView{Known: true}
	w.device["n2-bmc"].problem = "unreachable" // it lost its power with the node
	w.device["n2-pdu"].power = ha.PowerOff
	w.run(15)
	w.wantNode("n2", ha.NodeFenced) // while its lease still stands
	if len(w.sent) != 0 {
		t.Fatalf("sent %v", w.sent)
	}
}

// silentStrip is a world where n2 has a device that tells no system UUID.
func silentStrip(t *testing.T) *world {
	w := newWorld(t, 3)
	w.guest(101, ha.QEMU, "n2")
	w.device["n2-bmc"].uuid = ""
	w.boot("n2", "boot-n2b")
	w.run(60)
	return w
}

func (w *world) confirmTest(n ha.NodeName, device string) {
	w.put(ha.KeyRequest("r1"), ha.Request{ID: "r1", Kind: ha.RequestConfirmTest, Node: n, Device: device, By: "ada", At: time.Unix(1700000000, 0)})
	w.run(60)
}

// An operator's test stands for the system UUID that a device does not tell, for this machine, also after its next boot.
func TestConfirmedTest(t *testing.T) {
	w := silentStrip(t)
	if c := w.node("n2").Devices[0]; c.Identified("boot-n2b") || !strings.Contains(c.Problem, "hactl fence test n2 --confirm n2-bmc") {
		t.Fatalf("check %+v", c)
	}
	w.confirmTest("n2", "n2-bmc")
	if c := w.node("n2").Devices[0]; !c.Identified("boot-n2b") || c.Problem != "" || !strings.Contains(c.Confirmed, "ada") {
		t.Fatalf("check %+v", c)
	}
	w.boot("n2", "boot-n2c")
	w.device["n2-bmc"].problem = "unreachable"
	w.run(60)
	if c := w.node("n2").Devices[0]; c.Identified("boot-n2c") {
		t.Fatalf("it has not read on in this boot: %+v", c)
	}
	w.device["n2-bmc"].problem = ""
	w.run(60)
	if c := w.node("n2").Devices[0]; !c.Identified("boot-n2c") {
		t.Fatalf("check %+v", c)
	}
	w.die("n2")
	w.run(20)
	w.wantNode("n2", ha.NodeFenced)
}

func TestConfirmedTestEnds(t *testing.T) {
	for name, change := range map[string]func(w *world){
		"another machine under the name": func(w *world) {
			w.boot("n2", "boot-n2c")
			w.report("n2", func(r *ha.NodeReport) { r.SystemUUID = uuidOf("n9") })
			w.request(ha.RequestConfirmOff, "n2")
			w.run(60)
		},
		"the device tells another machine":  func(w *world) { w.device["n2-bmc"].uuid = uuidOf("n9") },
		"it reads off while the node is up": func(w *world) { w.device["n2-bmc"].power = ha.PowerOff },
	} {
		t.Run(name, func(t *testing.T) {
			w := silentStrip(t)
			w.confirmTest("n2", "n2-bmc")
			change(w)
			w.run(1300) // the next check is due after two minutes
			w.device["n2-bmc"].power, w.device["n2-bmc"].uuid = ha.PowerOn, ""
			w.run(60)
			if c := w.node("n2").Devices[0]; c.Identified(w.inc("n2")) || c.Confirmed != "" {
				t.Fatalf("check %+v", c)
			}
		})
	}
}

func TestConfirmedTestIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		device  string
		prepare func(w *world)
	}{
		"no such device": {"n2-pdu", func(*world) {}},
		"a person":       {"manual", func(*world) {}},
		"not up":         {"n2-bmc", func(w *world) { w.cut("n2"); w.run(2) }},
		"no system UUID": {"n2-bmc", func(w *world) { w.report("n2", func(r *ha.NodeReport) { r.SystemUUID = "" }) }},
	} {
		t.Run(name, func(t *testing.T) {
			w := silentStrip(t)
			c.prepare(w)
			w.confirmTest("n2", c.device)
			for _, x := range w.node("n2").Devices {
				if x.Confirmed != "" {
					t.Fatalf("check %+v", x)
				}
			}
			if _, waits := w.snapshot().Requests["r1"]; waits {
				t.Fatal("the request is still there")
			}
		})
	}
}
