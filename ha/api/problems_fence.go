package api

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bascule/ha"
)

// lieAfter is how long a machine may read "on" after an accepted "off" before that is called a lie: real machines
// cut the power within 5 s of a forced off.
const lieAfter = 5 * time.Second

// fencing tells how far the fencing of a node is and what the operator can do to shorten it.
func (f *finder) fencing(n Node) {
	subject := nodeSubject(n.Name)
	rec := f.v.Snapshot.Fences[n.Name].Rec
	if rec.Incarnation != n.Incarnation {
		rec = ha.FenceRecord{} // about an earlier life of the node
	}
	confirm := fmt.Sprintf("switch %s off by hand (power button, PDU, the cord). Only after you have checked that it is really off: hactl confirm-off %s", n.Name, n.Name)
	for _, d := range lyingDevices(rec, f.v.Wall) {
		f.add(Critical, subject, fmt.Sprintf("DO NOT TRUST DEVICE %s: it said that it switches %s off, and %s later %s still reads \"on\"", d.device, n.Name, Ago(d.after), n.Name),
			"a success that cannot be read back is no proof: the node may be running and writing to its disks, so its guests are not started elsewhere", confirm)
	}
	what := fmt.Sprintf("%s is being fenced%s; %s down until it is proven off", n.Name, f.since(n.Since), count(f.waiting(n.Name)))
	if rec.Problem == "" {
		f.add(Critical, subject, what, joined(n.Reason, f.lastReadings(rec)), "wait: this usually takes seconds")
		return
	}
	if n.Held != "" {
		f.add(Critical, subject, what, n.Reason, fmt.Sprintf("find out why; if %s must be switched off all the same: hactl fence %s; or %s", n.Name, n.Name, confirm))
		return
	}
	f.add(Critical, subject, what, joined(n.Reason, "no proof yet: "+rec.Problem, f.lastReadings(rec)), confirm)
}

// waiting counts the guests that wait for a node's proof.
func (f *finder) waiting(n ha.NodeName) int {
	sum := 0
	for _, g := range f.s.Guests {
		if g.Node == n && g.State != ha.GuestUnprotected && g.State != ha.GuestStopped {
			sum++
		}
	}
	return sum
}

// lastReadings quotes the last thing that each device said to a read and to an off.
func (f *finder) lastReadings(rec ha.FenceRecord) string {
	last := map[string]string{}
	var order []string
	for _, s := range rec.Steps {
		if s.Device == "" { // the ladder's own notes
			continue
		}
		what := s.Device + " " + s.Action
		if _, seen := last[what]; !seen {
			order = append(order, what)
		}
		last[what] = fmt.Sprintf("%s: %s", what, s.Result)
		if s.Action != string(ha.DeviceRead) { // equal readings are noted once, so their time would mislead
			last[what] += fmt.Sprintf(" (%s ago)", Ago(f.v.Wall.Sub(s.At)))
		}
	}
	if len(order) == 0 {
		return ""
	}
	var parts []string
	for _, what := range order {
		parts = append(parts, last[what])
	}
	return "last answers: " + strings.Join(parts, ", ")
}

// lie is a device that accepted an "off" and whose node still reads "on".
type lie struct {
	device string
	after  time.Duration
}

// lyingDevices finds devices that accepted an "off" and read "on" for longer than a machine takes. The ladder notes equal
// neighbouring readings once, so an "on" from before the off stands for the later ones as well where the record's
// Problem complains of the device: after an accepted off it does so only while the device reads on.
func lyingDevices(rec ha.FenceRecord, now time.Time) []lie {
	accepted := map[string]ha.FenceStep{} // the first accepted off
	reads := map[string]ha.FenceStep{}
	var order []string
	for _, s := range rec.Steps {
		switch s.Action {
		case string(ha.DeviceOff):
			if _, before := accepted[s.Device]; !before && OffAccepted(s.Result) {
				accepted[s.Device], order = s, append(order, s.Device)
			}
		case string(ha.DeviceRead):
			reads[s.Device] = s
		}
	}
	var out []lie
	for _, d := range order {
		off, read := accepted[d], reads[d]
		if !readsOn(read.Result) {
			continue
		}
		after := read.At.Sub(off.At)
		if mentions(rec.Problem, d) {
			after = now.Sub(off.At)
		}
		if after >= lieAfter {
			out = append(out, lie{d, after})
		}
	}
	return out
}

// mentions says whether a text holds a name as a word of its own (bmc1 is not bmc10).
func mentions(text, name string) bool {
	words := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" ,;:()", r) })
	return slices.Contains(words, name)
}

// OffAccepted says whether a fence step's result of an "off" claims success: it begins with ok, done, success or accepted.
func OffAccepted(result string) bool {
	r := strings.ToLower(result)
	for _, w := range []string{"ok", "done", "success", "accepted"} {
		if strings.HasPrefix(r, w) {
			return true
		}
	}
	return false
}

// readsOn says whether a fence step's result of a "read" is the literal "on", alone or before other words.
func readsOn(result string) bool {
	word, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(result)), " ")
	return strings.Trim(word, `",;:.`) == string(ha.PowerOn)
}

// devices tells of fencing devices that would not do their work today.
func (f *finder) devices(n Node) {
	if n.State == ha.NodeFencing || n.State == ha.NodeFenced || n.State == ha.NodeOffline {
		return
	}
	for _, d := range n.Power {
		switch {
		case d.Problem != "":
			f.add(Critical, nodeSubject(n.Name), fmt.Sprintf("fencing device %s of %s would not work today", d.Device, n.Name), d.Problem,
				fmt.Sprintf("repair it now, while %s lives: its address, account and cable, and its entry in basculed.yaml", n.Name))
		case !d.ReadOn:
			f.add(Warning, nodeSubject(n.Name), fmt.Sprintf("fencing device %s of %s has not read \"on\" since the node booted", d.Device, n.Name),
				"a device that does not see the node living may be another machine's: its \"off\" proves nothing", "check that it is this machine's device; the check repeats by itself")
		case !d.Ready:
			f.add(Warning, nodeSubject(n.Name), fmt.Sprintf("fencing device %s is not known to be %s's", d.Device, n.Name),
				"its system UUID is not the node's, or it tells none, and no operator has confirmed a test", "check that it is this machine's device; it counts once its system UUID matches or an operator has confirmed a test of it")
		}
	}
}
