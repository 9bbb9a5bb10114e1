package doctor

import "fmt"

// token: whether Proxmox's API lets the daemon see and do what it must.
var token = check{
	kinds: []Kind{
		{ID: "token-weak", Grades: []Severity{Critical, OK}, Title: "The Proxmox token lacks privileges",
			Why: "Proxmox answers a weak token with shorter lists, not with errors: guests and storages would be overlooked, starts and moves refused",
			Do:  "as root on any node: pveum role add Bascule --privs \"Sys.Audit VM.Audit Datastore.Audit VM.PowerMgmt VM.Migrate\" (role modify, if it exists); pveum acl modify / --users USER --roles Bascule; pveum acl modify / --tokens 'USER!NAME' --roles Bascule"},
		{ID: "token-unchecked", Grades: []Severity{Warning}, Title: "The Proxmox token could not be checked",
			Why: "a node that does not reach its own Proxmox API starts and moves no guest",
			Do:  "systemctl status pveproxy pvedaemon on that node; token id and file in the proxmox section of basculed.yaml"},
	},
	run: func(x *exam) {
		for _, f := range x.agents() {
			switch t := f.Token; {
			case t == nil:
			case t.Problem != "":
				x.add(Finding{ID: "token-unchecked", Severity: Warning, Node: f.Node, Evidence: t.Problem})
			case len(t.Missing) > 0:
				x.add(Finding{ID: "token-weak", Severity: Critical, Node: f.Node, Evidence: fmt.Sprintf("%s lacks %s", t.ID, words(t.Missing))})
			default:
				x.add(Finding{ID: "token-weak", Severity: OK, Node: f.Node, Evidence: t.ID + " has every privilege that is needed"})
			}
		}
	},
}
