package gather

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"bascule/config"
	"bascule/ha"
	"bascule/ha/setup/doctor"
)

// common is what of a configuration the others must say as well, and what the checks need of it.
func common(c *config.Config) *doctor.Config {
	out := &doctor.Config{Cluster: c.Cluster, Members: c.Members, APIPort: c.API.Port, Own: c.Node, DataDir: c.DataDir, Driver: c.Guard.Watchdog.Driver,
		Softdog: c.Guard.TrustSoftdog, External: c.External(), CAFile: c.TLS.CAFile, CertFile: c.TLS.CertFile, KeyFile: c.TLS.KeyFile}
	for _, v := range c.Voters() {
		out.Voters = append(out.Voters, v.Name)
	}
	for _, d := range c.Devices() {
		out.Devices = append(out.Devices, doctor.Device{Name: d.Name, Node: d.Node, Method: d.Method, Storages: names(d.Settings["storages"])})
	}
	out.Common = map[string]string{
		"cluster":        c.Cluster,
		"members":        members(c.Members),
		"etcd.voters":    members(c.Voters()),
		"etcd.endpoints": strings.Join(c.Etcd.Endpoints, " "),
		"etcd ports":     fmt.Sprintf("%d %d", c.Etcd.PeerPort, c.Etcd.ClientPort),
		"gossip.port":    strconv.Itoa(c.Gossip.Port),
		"api.port":       strconv.Itoa(c.API.Port),
		"timing":         timing(c.Timing()),
		"protect":        fmt.Sprintf("tags %v pools %v vmids %v all %v", c.Protect.Tags, c.Protect.Pools, c.Protect.VMIDs, c.Protect.All),
		"recovery":       fmt.Sprintf("leave_lost_storage %v", c.Recovery.LeaveLostStorage),
		"limits":         fmt.Sprintf("%+v", c.Limits),
		"fencing.limits": fmt.Sprintf("after %s, max_concurrent %d, min_healthy %d, priority_delay %v", c.Fencing.After, c.Fencing.MaxConcurrent, c.Fencing.MinHealthy, c.Fencing.PriorityDelay),
	}
	for _, m := range c.Members {
		out.Common["fencing of "+string(m.Name)] = fmt.Sprintf("levels %v, after %s", c.Levels(m.Name), c.After(m.Name))
	}
	for _, d := range c.Devices() {
		out.Common["fencing device "+d.Name] = device(d)
	}
	return out
}

// names splits a setting at its commas.
func names(setting string) []string {
	return strings.FieldsFunc(setting, func(r rune) bool { return r == ',' || r == ' ' })
}

func members(list []ha.Member) string {
	var out []string
	for _, m := range list {
		text := string(m.Name) + " " + m.Address
		if m.Witness {
			text += " (witness)"
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

// timing is every wait that the members must share.
func timing(t ha.Timing) string {
	return fmt.Sprintf("profile %s, fence_delay %v, daemon_grace %v, permit_grace %v, kill_time %v, watchdog_timeout %v, device_timeout %v, level_timeout %v, boot_time %v",
		t.Profile, t.FenceDelay, t.DaemonGrace, t.PermitGrace, t.KillTime, t.WatchdogTimeout, t.DeviceTimeout, t.LevelTimeout, t.BootTime)
}

// device is a fencing device without the files of this machine, which may lie elsewhere on others.
func device(d config.Device) string {
	out := []string{"node " + string(d.Node), d.Method}
	for _, key := range slices.Sorted(maps.Keys(d.Settings)) {
		if !strings.HasSuffix(key, "file") && !strings.Contains(key, "password") {
			out = append(out, key+" "+d.Settings[key])
		}
	}
	return strings.Join(out, ", ")
}
