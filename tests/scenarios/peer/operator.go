package peer

// What an operator of Bascule does for a command about a guest's requested state. There is no request for it in the product: the guest
// is started, stopped and migrated in Proxmox, and protected or not by its config.

// start is "service S started".
func (r *run) start(c Command) {
	id, g := r.ids[c.Subject], r.guest(c)
	was := firstOf(r.asked[c.Subject], g.State)
	r.asked[c.Subject] = "started"
	if was == "ignored" {
		r.scene.Protect(id, true)
		r.lack(ofGuest("requested state ignored", c.Subject))
	}
	if was == "started" {
		return
	}
	node := r.scene.ConfigUnder(id)
	if g.Fault.Starts > 0 && (g.Fault.Where == "" || g.Fault.Where == node) || r.locked[c.Subject] || r.down[node] {
		r.lack(Feature{Name: "request start (retried and relocated)", Unplayed: true})
		return
	}
	r.scene.Do("qm-start", node, r.vmid(c))
}

// stop is "service S stopped", "disabled" and "stop".
func (r *run) stop(c Command) {
	r.asked[c.Subject] = "stopped"
	node := r.scene.ConfigUnder(r.ids[c.Subject])
	if r.down[node] {
		r.lack(Feature{Name: "request stop", Unplayed: true})
		return
	}
	r.scene.Do("qm-stop", node, r.vmid(c))
}

// ignore is "service S ignored": its protection is taken away.
func (r *run) ignore(c Command) {
	r.asked[c.Subject] = "ignored"
	r.scene.Protect(r.ids[c.Subject], false)
}

// migrate is "service S migrate N" and "relocate": an operator's own migration in Proxmox.
func (r *run) migrate(c Command) {
	id, to := r.ids[c.Subject], c.arg(0)
	from := r.scene.ConfigUnder(id)
	switch {
	case from == to:
	case r.down[from] || r.down[to]:
		r.lack(Feature{Name: "request migrate (to or from a node that is down)", Unplayed: true})
	default:
		r.scene.QmMigrate(id, to)
	}
}

// disarm is "crm N disarm-ha": basculed is stopped in order on every node that is up. Watchdogs are disarmed and guests run on, frozen.
func (r *run) disarm(c Command) {
	if r.disarmed != "" {
		r.disarmed = c.arg(0)
		return
	}
	r.disarmed = firstOf(c.arg(0), "freeze")
	for _, n := range r.s.Nodes {
		if !r.down[n.Name] {
			r.scene.StopDaemon(n.Name)
		}
	}
}

// arm starts it again everywhere.
func (r *run) arm() {
	r.disarmed = ""
	for _, n := range r.s.Nodes {
		r.scene.StartDaemon(n.Name)
	}
	for _, q := range r.later {
		r.scene.Ask(q)
	}
	r.later = nil
}
