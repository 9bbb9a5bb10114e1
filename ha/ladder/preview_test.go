package ladder

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bascule/ha"
)

var pdu = Device{Name: "pdu", Kind: ha.PowerDevice}

// fates are a preview's steps in a word each: "LEVEL NAME PROOF", then what stands in the way.
func fates(steps []PreviewStep) (out []string) {
	for _, s := range steps {
		line := string(s.Proof)
		if s.Level != Beside {
			line = strings.Repeat("+", s.Level+1) + s.Device + " " + string(s.Action) + " " + line
		}
		switch {
		case s.Why != "":
			line += " NO: " + s.Why
		case s.Lacks != "":
			line += " LACKS: " + s.Lacks
		}
		out = append(out, line)
	}
	return out
}

func TestPreview(t *testing.T) {
	manual := Device{Name: "manual"}
	const beside, boot = "SelfFenceElapsed", "NewBoot"
	for _, c := range []struct {
		name   string
		levels [][]Device
		change func(*Facts)
		want   []string
	}{
		{"each kind and what it leads to", [][]Device{{bmc}, {ceph, sbd}, {manual}}, nil,
			[]string{"+bmc off PowerOffConfirmed", "++ceph-fence revoke StorageRevoked", "++sbd poison PoisonPill", "+++manual  OperatorConfirmed", beside, boot}},
		{"a reset leads to a new boot, and needs nothing beside it", [][]Device{{reset, pdu}, {manual}}, func(f *Facts) { f.Checks[1].ReadOn = false },
			[]string{"+robot reset NewBoot", `+pdu off PowerOffConfirmed NO: it never read "on" with the right system UUID while the node was alive`, "++manual  OperatorConfirmed", beside, boot}},
		{"a reset service that never answered", [][]Device{{reset}}, func(f *Facts) { f.Checks = nil },
			[]string{"+robot reset NewBoot NO: it was never found ready to reset the node while that was alive", beside, boot, "OperatorConfirmed"}},
		{"without a person in the plan one may still confirm", [][]Device{{bmc}}, nil,
			[]string{"+bmc off PowerOffConfirmed", beside, boot, "OperatorConfirmed"}},
		{"no device at all", nil, func(f *Facts) { f.Armed = false },
			[]string{"SelfFenceElapsed NO: n2 has no armed watchdog: nothing makes it end itself in a known time", boot, "OperatorConfirmed"}},
		{"a device that was never seen with the node alive", [][]Device{{bmc}, {manual}}, func(f *Facts) { f.Checks = nil },
			[]string{`+bmc off PowerOffConfirmed NO: it never read "on" with the right system UUID while the node was alive`, "++manual  OperatorConfirmed", beside, boot}},
		{"its last look's own words", [][]Device{{bmc}, {manual}}, func(f *Facts) { f.Checks = []ha.DeviceCheck{{Device: "bmc", Incarnation: inc, Problem: "no route"}} },
			[]string{"+bmc off PowerOffConfirmed NO: no route", "++manual  OperatorConfirmed", beside, boot}},
		{"all power devices of a level", [][]Device{{bmc, pdu}, {manual}}, func(f *Facts) { f.Checks[1].ReadOn, f.Checks[1].Problem = false, "no route" },
			[]string{"+bmc off PowerOffConfirmed LACKS: the level proves nothing without pdu", "+pdu off PowerOffConfirmed NO: no route", "++manual  OperatorConfirmed", beside, boot}},
		{"a person in the level of a power device", [][]Device{{bmc, manual}}, nil,
			[]string{"+bmc off PowerOffConfirmed LACKS: manual stands in the same level, so power alone proves nothing there: put it into a level of its own", "+manual  OperatorConfirmed", beside, boot}},
		{"storage devices prove each for itself", [][]Device{{ceph, pdu}, {manual}}, func(f *Facts) { f.Checks[1].ReadOn = false },
			[]string{"+ceph-fence revoke StorageRevoked", `+pdu off PowerOffConfirmed NO: it never read "on" with the right system UUID while the node was alive`, "++manual  OperatorConfirmed", beside, boot}},
		{"a poison device needs an armed watchdog", [][]Device{{sbd}, {manual}}, func(f *Facts) { f.Armed = false },
			[]string{"+sbd poison PoisonPill NO: n2 had no armed watchdog, so nothing makes it obey the message", "++manual  OperatorConfirmed", "SelfFenceElapsed NO: n2 has no armed watchdog: nothing makes it end itself in a known time", boot}},
		{"a node that never registered", [][]Device{{bmc, manual}}, func(f *Facts) { f.Incarnation = "" },
			[]string{
				"+bmc off PowerOffConfirmed NO: n2 has never registered: there is no boot of it to prove anything about",
				"+manual  OperatorConfirmed NO: n2 has never registered: there is no boot of it to prove anything about",
				"SelfFenceElapsed NO: n2 has never registered: there is no boot of it to prove anything about",
				"NewBoot NO: n2 has never registered: there is no boot of it to prove anything about",
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newPlan(t, c.levels...)
			if c.change != nil {
				c.change(&b.in.Facts)
			}
			if d := cmp.Diff(c.want, fates(Preview(b.in.Plan, b.in.Facts))); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

func TestPreviewTimesAndStorages(t *testing.T) {
	b := newPlan(t, []Device{ceph, sbd})
	b.in.Facts.Timing.KillTime += 7 * time.Second
	steps := Preview(b.in.Plan, b.in.Facts)
	if !slices.Equal(steps[0].Storages, ceph.Storages) || steps[1].After != sbd.MsgWait || steps[2].After != b.in.Facts.Timing.SelfFence() {
		t.Errorf("%+v", steps)
	}
	steps[0].Storages[0] = "changed"
	if ceph.Storages[0] == "changed" {
		t.Error("the preview shares the plan's storages")
	}
}

// TestPreviewKeepsItsWord: where the preview says that a power level works, a walk that reads "off" there has its proof, and where it
// says no, it has none.
func TestPreviewKeepsItsWord(t *testing.T) {
	for _, c := range []struct {
		name   string
		levels [][]Device
		change func(*Facts)
	}{
		{"well", [][]Device{{bmc}, {pdu}}, func(*Facts) {}},
		{"first unknown", [][]Device{{bmc}, {pdu}}, func(f *Facts) { f.Checks[0].ReadOn = false }},
		{"half a level", [][]Device{{bmc, pdu}}, func(f *Facts) { f.Checks[1].UUIDMatched = false }},
		{"with a person", [][]Device{{bmc, {Name: "manual"}}}, func(*Facts) {}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newPlan(t, c.levels...)
			c.change(&b.in.Facts)
			promised := slices.ContainsFunc(Preview(b.in.Plan, b.in.Facts), func(s PreviewStep) bool { return s.Proof == ha.PowerOffConfirmed && s.Works() })
			for range 3 {
				b.step(time.Second, b.read("bmc", ha.PowerOff), b.read("pdu", ha.PowerOff))
			}
			if got := slices.Contains(b.kinds(), ha.PowerOffConfirmed); got != promised {
				t.Errorf("promised %v, proven %v", promised, got)
			}
		})
	}
}
