package api

import (
	"fmt"
	"slices"

	"bascule/ha"
)

// votes tells, before anybody dies, that corosync's votes do not outlast a node: then /etc/pve of the survivors is read-only, and nothing can
// be recovered there whatever Bascule knows.
func (f *finder) votes() {
	v := f.corosyncVotes()
	fatal, known := v.Fatal(), f.s.Quorum.Known
	if len(fatal) > 0 && known && !f.s.Quorum.Quorate {
		return // it has happened: proxmoxQuorum says what to do
	}
	if len(fatal) > 0 {
		f.add(Critical, "cluster", fmt.Sprintf("if %s died now, Proxmox would have no quorum on the others: its guests could not be recovered", either(fatal)),
			fmt.Sprintf("corosync counts %d votes%s and needs more than half of them; that the store has a third vote does not help it", v.All(), device(v)), ha.AddQDevice)
		return
	}
	host := f.deviceHost(v)
	if host == "" || gossipWord(f.v, host) != "silent" {
		return
	}
	if fatal := v.FatalWithout(); len(fatal) > 0 {
		f.add(Warning, nodeSubject(host), fmt.Sprintf("%s is silent, and corosync's QDevice runs there: if %s died now as well, its guests could not be recovered", host, either(fatal)),
			"without the QDevice's vote Proxmox would have no quorum on the survivors, and without the witness's the store none", fmt.Sprintf("bring %s back (power, network, systemctl status basculed-witness corosync-qnetd)", host))
	}
}

// corosyncVotes are the votes as this node's report has them, or a living one's where this node runs no Proxmox.
func (f *finder) corosyncVotes() *ha.CorosyncVotes {
	if v := f.v.Snapshot.Reports[f.v.Self].Rec.CorosyncVotes; v != nil {
		return v
	}
	for _, n := range f.s.Nodes {
		if v := f.v.Snapshot.Reports[n.Name].Rec.CorosyncVotes; v != nil && n.Lease {
			return v
		}
	}
	return nil
}

// deviceHost is the witness on which the quorum device answers; empty where it is no member of ours.
func (f *finder) deviceHost(v *ha.CorosyncVotes) ha.NodeName {
	if v == nil || v.QDevice == 0 {
		return ""
	}
	i := slices.IndexFunc(f.v.Members, func(m ha.Member) bool {
		return m.Witness && (m.Address == v.QDeviceHost || string(m.Name) == v.QDeviceHost)
	})
	if i < 0 {
		return ""
	}
	return f.v.Members[i].Name
}

func device(v *ha.CorosyncVotes) string {
	if v.QDevice == 0 {
		return ", none of them of a QDevice,"
	}
	return fmt.Sprintf(", %d of them of a QDevice,", v.QDevice)
}

// either is "node1 or node2".
func either(names []ha.NodeName) string {
	out := string(names[0])
	for i, n := range names[1:] {
		sep := ", "
		if i == len(names)-2 {
			sep = " or "
		}
		out += sep + string(n)
	}
	return out
}
