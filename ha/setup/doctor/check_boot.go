package doctor

// bootCheck: what keeps Proxmox from starting protected guests at boot.
var bootCheck = check{
	kinds: []Kind{
		{ID: "boot-check-missing", Grades: []Severity{Warning, OK}, Title: "Nothing stops Proxmox from starting protected guests at boot",
			Why: "a protected guest that Proxmox starts at boot may run already on another node that has recovered it: the drop-in of pve-guests.service makes the boot fail closed",
			Do:  "put bascule.conf back under /etc/systemd/system/pve-guests.service.d (the package has it in /usr/lib/systemd/system), then systemctl daemon-reload"},
	},
	run: func(x *exam) {
		for _, f := range x.agents() {
			switch b := f.BootCheck; {
			case b == nil || !b.PVEGuests:
			case b.Broken != "":
				x.add(Finding{ID: "boot-check-missing", Severity: Warning, Node: f.Node, Evidence: b.Broken})
			case b.DropIn == "":
				x.add(Finding{ID: "boot-check-missing", Severity: Warning, Node: f.Node, Evidence: "no drop-in of pve-guests.service runs basculed boot-check"})
			default:
				x.add(Finding{ID: "boot-check-missing", Severity: OK, Node: f.Node, Evidence: b.DropIn})
			}
		}
	},
}
