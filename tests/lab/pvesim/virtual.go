package pvesim

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// versioned are the files whose change counters .version shows.
var versioned = []string{"corosync.conf", "corosync.conf.new", "storage.cfg", "user.cfg", "domains.cfg", "priv/shadow.cfg",
	"priv/token.cfg", "datacenter.cfg", "vzdump.cron", "jobs.cfg", "ha/crm_commands", "ha/manager_status",
	"ha/resources.cfg", "ha/rules.cfg", "ha/groups.cfg", "ha/fence.cfg", "replication.cfg"}

func (c *Cluster) versionLocked(n *node) []byte {
	var b strings.Builder
	b.WriteString("{\n\"starttime\": " + strconv.FormatInt(n.bootedAt.Unix(), 10) + ",\n")
	b.WriteString("\"clinfo\": " + strconv.Itoa(c.ring.nodes[n.Name].version) + ",\n")
	b.WriteString("\"vmlist\": " + strconv.FormatUint(n.view.vmVersion, 10) + ",\n")
	for _, f := range versioned {
		b.WriteString("\"" + f + "\": " + strconv.FormatUint(n.view.entries[f].version, 10) + ",\n")
	}
	b.WriteString("\"kvstore\": {\n")
	for i, name := range c.order {
		sep := ","
		if i == len(c.order)-1 {
			sep = ""
		}
		b.WriteString("\"" + name + "\": {\n\"tasklist\": " + strconv.Itoa(c.nodes[name].tasks.count()) + "}\n" + sep)
	}
	b.WriteString("}\n}\n")
	return []byte(b.String())
}

func vmlistFile(t *tree) []byte {
	var b strings.Builder
	b.WriteString("{\n\"version\": " + strconv.FormatUint(t.vmVersion, 10) + ",\n\"ids\": {")
	sep := "\n"
	for _, vmid := range slices.Sorted(maps.Keys(t.vms)) {
		ref := t.vms[vmid]
		b.WriteString(sep + "\"" + strconv.Itoa(vmid) + "\": { \"node\": \"" + ref.node + "\", \"type\": \"" + ref.kind +
			"\", \"version\": " + strconv.FormatUint(ref.version, 10) + " }")
		sep = ",\n"
	}
	b.WriteString("}\n\n}\n")
	return []byte(b.String())
}
