package setup

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestCallsAsRecorded holds what the set-up asks of Proxmox's access control to what a real Proxmox VE was asked, and accepted: the same call, and
// no option that it was not given there. Nothing was recorded of the firewall; its options are those of pve-firewall's API.
func TestCallsAsRecorded(t *testing.T) {
	dir := os.Getenv("BASCULE_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	dir = filepath.Join(dir, "pve", "recorded")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no recordings of Proxmox VE: %v (set BASCULE_SHARED to the directory that has pve/recorded)", err)
	}
	sys := newFake()
	initialise(t, sys, threeCeph(), Answers{})
	for _, name := range []string{"access_role_create", "access_acl_put_user", "access_acl_put_token", "access_token_create_privsep"} {
		data, err := os.ReadFile(filepath.Join(dir, name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var real struct {
			Request struct {
				Method, Path string
				Form         map[string]any
			}
		}
		if err := json.Unmarshal(data, &real); err != nil {
			t.Fatal(err)
		}
		verb := map[string]string{"POST": "create", "PUT": "set"}[real.Request.Method]
		path, _ := strings.CutPrefix(real.Request.Path, "/api2/json")
		path = strings.NewReplacer("ha@pve", UserID, "/sep", "/node1").Replace(path)
		var want []string
		for option := range real.Request.Form {
			want = append(want, "--"+option)
		}
		slices.Sort(want)
		if !slices.ContainsFunc(sys.calls, func(argv []string) bool {
			if len(argv) < 3 || argv[0] != "pvesh" || argv[1] != verb || argv[2] != path {
				return false
			}
			var got []string
			for i := 3; i < len(argv); i += 2 {
				if argv[i] != "--output-format" {
					got = append(got, argv[i])
				}
			}
			slices.Sort(got)
			return slices.Equal(got, want)
		}) {
			t.Errorf("%s: no call pvesh %s %s with the options %v", name, verb, path, want)
		}
	}
}
