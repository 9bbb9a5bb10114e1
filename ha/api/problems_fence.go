package api

import (
	"fmt"
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
		f.add(Critical, subject, fmt.Sprintf("DO NOT TRUST DEVICE %s: it said %q when told to switch %s off, and %s still reads \"on\" after %s", d.device, d.said, n.Name, n.Name, Ago(d.after)),
			"a success that cannot be read back is no proof: the node may be running and writing to its disks, so its guests are not started elsewhere", confirm)
	}
	what := fmt.Sprintf("%s is being fenced%s; %s down until it is proven off", n.Name, f.since(n.Since), count(f.waiting(n.Name)))
	if rec.Problem == "" {
		f.add(Critical, subject, what, sentence(n.Reason, f.lastReadings(rec)), "wait: this usually takes seconds")
		return
	}
	f.add(Critical, subject, what, sentence(n.Reason, "no proof yet: "+rec.Problem, f.lastReadings(rec)), confirm)
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

// lastReadings quotes the last thing that each device said.
func (f *finder) lastReadings(rec ha.FenceRecord) string {
	last := map[string]ha.FenceStep{}
	var order []string
	for _, s := range rec.Steps {
		if _, seen := last[s.Device]; !seen {
			order = append(order, s.Device)
		}
		last[s.Device] = s
	}
	var parts []string
	for _, d := range order {
		s := last[d]
		parts = append(parts, strings.TrimSpace(fmt.Sprintf("%s %s: %s, %s ago", d, s.Action, s.Result, Ago(f.v.Wall.Sub(s.At)))))
	}
	if len(parts) == 0 {
		return ""
	}
	return "last answers: " + bounded(parts)
}

type lie struct {
	device, said string
	after        time.Duration
}

// lyingDevices finds devices that accepted an "off" and whose later readings are "on" for longer than a machine takes.
func lyingDevices(rec ha.FenceRecord, now time.Time) []lie {
	accepted := map[string]ha.FenceStep{} // the first accepted off since the device last read otherwise than on
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
		if readsOn(read.Result) && read.At.Sub(off.At) >= lieAfter {
			out = append(out, lie{d, off.Result, read.At.Sub(off.At)})
		}
	}
	return out
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
				"its system UUID is not the node's, or it tells none, and no operator has confirmed a test", "check that it is this machine's device and confirm a test of it in basculed.yaml")
		}
	}
}
