package ladder

import (
	"fmt"
	"slices"
	"strings"

	"bascule/ha"
)

// describe says in the record why there is no complete proof yet and what the operator can do.
func (w *walk) describe() {
	r := w.out.Record
	if r == nil {
		return
	}
	r.Problem, r.Held = "", w.Facts.Held
	if slices.ContainsFunc(r.Proofs, ha.Proof.Complete) {
		r.Held = ""
		return
	}
	parts := w.aboutStorages(r)
	if r.Held != "" {
		parts = append(parts, r.Held)
	}
	for i, l := range w.Plan.Levels {
		for _, d := range l {
			if what := w.about(d, i <= r.Level); what != "" && !slices.Contains(parts, what) {
				parts = append(parts, what)
			}
		}
	}
	if len(w.Plan.Levels) == 0 {
		parts = append(parts, fmt.Sprintf("no fencing device is configured for %s; look at the machine; if it is really off: hactl confirm-off %s", w.Facts.Node, w.Facts.Node))
	}
	if w.Facts.Armed && w.Facts.LeaseGone {
		parts = append(parts, fmt.Sprintf("its own watchdog proves it %v after its lease ended", w.Facts.Timing.SelfFence()))
	}
	r.Problem = strings.Join(parts, "; ")
}

// aboutStorages says what revoked storages have brought already, and what was given back.
func (w *walk) aboutStorages(r *ha.FenceRecord) (parts []string) {
	if len(r.Restored) > 0 {
		parts = append(parts, fmt.Sprintf("access to %s was taken away and is open again: switch %s off now", words(r.Restored), w.Facts.Node))
	}
	if proven := provenStorages(r, w.Facts.Incarnation); len(proven) > 0 {
		parts = append(parts, fmt.Sprintf("its access to %s is revoked and guests with all their disks there are free; the others wait for a proof about the machine", words(proven)))
	}
	return parts
}

// about says what stands between one device and its proof.
func (w *walk) about(d Device, reached bool) string {
	m := w.out.Memory.Devices[d.Name]
	switch {
	case !d.Kind.Acts() && reached:
		return fmt.Sprintf("look at the machine; if %s is really off: hactl confirm-off %s", w.Facts.Node, w.Facts.Node)
	case !d.Kind.Acts():
		return ""
	case d.Unusable(w.Facts) != "":
		return fmt.Sprintf("%s may not be used: %s", d.Name, d.Unusable(w.Facts))
	case d.Kind == ha.ResetDevice:
		return w.aboutReset(d, m)
	case m.PillSince != 0 && m.Problem == "":
		return fmt.Sprintf("%s proves it %v after its message was first read back", d.Name, d.MsgWait)
	}
	return m.Problem
}
