package cephblocklist

import (
	"fmt"
	"slices"
	"strings"
)

// The rights of an account at the monitors, without and with mark_down.
const (
	monRights     = `allow r, allow command "osd blocklist"`
	monRightsDown = monRights + `, allow command "osd down"`
)

// poolRights are the rights of an account at the OSDs of one pool: names and headers of images, and no guest's data.
func poolRights(pool string) string {
	var out []string
	for _, prefix := range []string{"rbd_directory", "rbd_trash", "rbd_namespace", "rbd_info", "rbd_id.", "rbd_header."} {
		out = append(out, fmt.Sprintf("allow r class-read pool=%s object_prefix %s", pool, prefix))
	}
	return strings.Join(append(out, fmt.Sprintf("allow r pool=%s object_prefix bascule.", pool)), ", ")
}

// Grant is the command that gives the account of one device its rights: those that it needs for all these devices that use the same account
// at the same cluster, because ceph auth caps takes away what it does not name. The error says which settings make no device.
func Grant(device map[string]string, all []map[string]string) (string, error) {
	own, err := account(device)
	if err != nil {
		return "", err
	}
	mon, pools := monRights, slices.Clone(own.pools)
	down := own.host != ""
	for _, settings := range all {
		s, err := account(settings)
		if err != nil || s.client != own.client || s.conf != own.conf || s.monitors != own.monitors {
			continue
		}
		down = down || s.host != ""
		pools = append(pools, s.pools...)
	}
	if down {
		mon = monRightsDown
	}
	slices.Sort(pools)
	var osd []string
	for _, p := range slices.Compact(pools) {
		osd = append(osd, poolRights(p))
	}
	return fmt.Sprintf("ceph auth caps client.%s mon '%s' osd '%s'", own.client, mon, strings.Join(osd, ", ")), nil
}

func account(raw map[string]string) (settings, error) {
	d, err := open(raw)
	if err != nil {
		return settings{}, err
	}
	return d.(*device).s, nil
}
