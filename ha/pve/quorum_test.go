package pve

import (
	"errors"
	"fmt"
	"testing"
)

// As corosync 3.1.7 prints it.
const quorumTool = `Quorum information
------------------
Date:             Sun Nov 22 18:50:38 2026
Quorum provider:  corosync_votequorum
Nodes:            2
Node ID:          1
Ring ID:          1.9
Quorate:          Yes

Votequorum information
----------------------
Expected votes:   %d
Highest expected: 3
Total votes:      %d
Quorum:           2  
Flags:            Quorate %s

Membership information
----------------------
    Nodeid      Votes    Qdevice Name
         1          1    %s node1 (local)
         2          1    %[4]s node2
%s`

func TestParseQuorum(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want Quorum
	}{
		"no device":                        {fmt.Sprintf(quorumTool, 2, 2, "", "", ""), Quorum{2, 2, -1}},
		"the device votes":                 {fmt.Sprintf(quorumTool, 3, 3, "Qdevice", "A,V,NMW", "         0          1            Qdevice\n"), Quorum{3, 3, 1}},
		"it is silent":                     {fmt.Sprintf(quorumTool, 3, 2, "Qdevice", "A,NV,NMW", "         0          0            Qdevice (votes 1)\n"), Quorum{3, 2, 0}},
		"its daemon does not run":          {fmt.Sprintf(quorumTool, 3, 2, "", "NR", "         0          0            Qdevice (votes 1)\n"), Quorum{3, 2, 0}},
		"numbers as pvecm shows them":      {fmt.Sprintf(quorumTool, 3, 3, "Qdevice", "A,V,NMW", "0x00000000          1            Qdevice\n"), Quorum{3, 3, 1}},
		"a node that is named as a device": {fmt.Sprintf(quorumTool, 2, 2, "", "", "         3          0            Qdevice\n"), Quorum{2, 2, -1}},
	} {
		if got, err := ParseQuorum(c.text); err != nil || got != c.want {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, c.want)
		}
	}
	for _, text := range []string{"", "Cannot initialize QUORUM service\n", "Expected votes:   2\nTotal votes: many\n", "Expected votes: -3\nTotal votes: 2\n"} {
		if got, err := ParseQuorum(text); !errors.Is(err, ErrQuorum) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}
