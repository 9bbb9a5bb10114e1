package cephblocklist

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The rights of the documentation, without and with mark_down.
const (
	rights     = `allow r, allow command "osd blocklist"`
	rightsDown = rights + `, allow command "osd down"`
)

func poolRights(pool string) string {
	var out []string
	for _, prefix := range []string{"rbd_directory", "rbd_trash", "rbd_namespace", "rbd_info", "rbd_id.", "rbd_header."} {
		out = append(out, fmt.Sprintf("allow r class-read pool=%s object_prefix %s", pool, prefix))
	}
	return strings.Join(append(out, fmt.Sprintf("allow r pool=%s object_prefix bascule.", pool)), ", ")
}

// The page must show what the tests against a real cluster have tried.
func TestThePageShowsTheseRights(t *testing.T) {
	page, err := os.ReadFile("../../docs/fencing/ceph-blocklist.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range append(strings.Split(poolRights("vms"), ", "), "mon '"+rights+"'", "mon '"+rightsDown+"'") {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, k := range keys {
		if !strings.Contains(string(page), "`"+k.Name+"`") {
			t.Errorf("the page lacks the setting %s", k.Name)
		}
	}
}
