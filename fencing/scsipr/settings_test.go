package scsipr

import (
	"strings"
	"testing"

	"bascule/fencing/fencingtest"
)

func TestSettings(t *testing.T) {
	good := map[string]string{"luns": "/dev/disk/by-id/wwn-0x6001, iscsi://10.0.8.1/iqn.2003-01.org.example:san/1|iscsi://[fd00::2]:3261/iqn.2003-01.org.example:san/300", "storages": "san1, san-2"}
	s, err := parse(good)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.luns) != 2 || len(s.luns[1].paths) != 2 || s.luns[1].paths[0].address != "10.0.8.1:3260" || s.luns[1].paths[1].address != "[fd00::2]:3261" ||
		s.luns[1].paths[1].unit != 300 || s.luns[0].paths[0].file != "/dev/disk/by-id/wwn-0x6001" || !s.keep || s.abort || s.state != defaultState {
		t.Fatalf("%+v", s)
	}
	fencingtest.TrySettings(t, Method, good, []fencingtest.Setting{
		{"luns", "sda", "is no LUN"},
		{"luns", "/dev/../etc/passwd", "is no LUN"},
		{"luns", "/dev/sda,/dev/sda", "twice"},
		{"luns", ",", "names none"},
		{"luns", "/dev/sda,|", "empty entry"},
		{"luns", "http://x/iqn.a/1", "is no LUN"},
		{"luns", "iscsi://x/iqn.a", "write iscsi://HOST"},
		{"luns", "iscsi://x/disk/1", "write iscsi://HOST"},
		{"luns", "iscsi://x/iqn.a:b/99999", "write iscsi://HOST"},
		{"luns", "iscsi://user:" + fencingtest.Hunter2 + "@x/iqn.a:b/1", "CHAP"},
		{"luns", "iscsi://user:" + fencingtest.Hunter2 + "%zz@x/iqn.a:b/1", "is no LUN"},
		{"storages", "san1,san1", "is there twice"},
		{"storages", "san 1", "no name"},
		{"storages", ", ,", "names none"},
		{"abort", "yes", "required or if-supported"},
		{"aptpl", "no", "required or if-supported"},
		{"state", "scsi-pr.json", "absolute"},
		{"colour", "blue", "unknown"},
		{"luns", " ", "empty"},
	})
}

func TestNoSecrets(t *testing.T) {
	for _, k := range Method.Keys {
		if k.Secret || strings.Contains(k.Name, "password") {
			t.Errorf("setting %s is a secret: then its way to the tool's arguments has to be looked at", k.Name)
		}
	}
}

func TestKeys(t *testing.T) {
	a, b := KeyOf("node1", boot1), KeyOf("node1", boot2)
	if a == b || !a.kin(b) || !a.ours() || a != KeyOf("node1", boot1) || a.kin(KeyOf("node2", boot1)) || len(a.String()) != 16 {
		t.Fatalf("%s %s", a, b)
	}
	if a.String() != "b5"+a.String()[2:] {
		t.Fatalf("%s has no mark", a)
	}
}
