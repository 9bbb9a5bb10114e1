package sim

import (
	"slices"
	"time"

	"bascule/ha"
)

// fault draws one kind of fault or of people's doings.
type fault struct {
	weight int
	draw   func(d *draw, s *Spec) []Command
}

func single(c Command) []Command { return []Command{c} }

// deaths are what ends a node's work: each run has at least one.
var deaths = []fault{
	{6, func(d *draw, s *Spec) []Command { return single(d.command("power-off", d.long(), d.node(s))) }},
	{2, func(d *draw, s *Spec) []Command { return single(d.command("crash", d.long(), d.node(s))) }},
	{2, func(d *draw, s *Spec) []Command { return single(d.command("freeze", d.long(), d.node(s))) }},
	{3, func(d *draw, s *Spec) []Command { return single(d.command("cut", d.long(), "all", d.node(s), "*")) }},
	{2, func(d *draw, s *Spec) []Command { return single(d.command("cut", d.long(), "cluster", d.node(s), "*")) }},
	{1, func(d *draw, s *Spec) []Command { return single(d.command("reset", 0, d.node(s))) }},
	{1, func(d *draw, s *Spec) []Command {
		return single(d.command("suspend", 0, d.node(s), d.short().String()))
	}},
	{1, func(d *draw, s *Spec) []Command {
		return single(d.command("stop-daemon", d.long(), d.node(s)))
	}},
	{1, func(d *draw, s *Spec) []Command { // and its operator says so
		c := d.command("power-off", d.long(), d.node(s))
		return []Command{c, {At: c.At + d.between(2*time.Second, 20*time.Second), Verb: "confirm-off", Args: c.Args}}
	}},
}

// mishaps are everything else that goes wrong, and what people do.
var mishaps = []fault{
	{3, func(d *draw, s *Spec) []Command {
		return single(d.command("cut", d.short(), d.net(), d.node(s), d.node(s)))
	}},
	{2, func(d *draw, s *Spec) []Command {
		return single(d.command("cut-one-way", d.short(), d.net(), d.node(s), d.anyone(s)))
	}},
	{1, func(d *draw, s *Spec) []Command {
		return single(d.command("switch-off", d.short(), pick(d, "all", "cluster", "corosync", "storage", "mgmt")))
	}},
	{1, func(d *draw, s *Spec) []Command {
		return single(d.command("flap", d.long(), pick(d, "cluster", "all"), d.node(s), d.between(time.Second, 8*time.Second).String()))
	}},
	{2, func(d *draw, s *Spec) []Command {
		return single(d.command("loss", d.long(), d.net(), d.node(s), d.anyone(s), text(5+d.r.IntN(50))))
	}},
	{2, func(d *draw, s *Spec) []Command {
		return single(d.command("delay", d.long(), d.net(), d.node(s), d.anyone(s), d.between(10*time.Millisecond, 900*time.Millisecond).String()))
	}},
	{2, func(d *draw, s *Spec) []Command {
		return single(d.command("gossip-false-dead", 0, pick(d, "*", d.node(s)), d.node(s), d.between(500*time.Millisecond, 8*time.Second).String()))
	}},
	{2, func(d *draw, s *Spec) []Command { return single(d.command("kill-daemon", 0, d.node(s))) }},
	{2, func(d *draw, s *Spec) []Command { return single(d.command("kill-guard", 0, d.node(s))) }},
	{2, func(d *draw, s *Spec) []Command {
		return single(d.command("stop-daemon", d.between(500*time.Millisecond, 40*time.Second), d.node(s)))
	}},
	{1, func(d *draw, s *Spec) []Command {
		return single(d.command("stop-guard", d.between(500*time.Millisecond, 40*time.Second), d.node(s)))
	}},
	{1, func(d *draw, s *Spec) []Command { return single(d.command("leave", d.long(), d.node(s))) }},
	{1, func(d *draw, s *Spec) []Command {
		return single(d.command("clock", 0, d.node(s), d.between(-time.Hour, time.Hour).String()))
	}},
	{1, func(d *draw, s *Spec) []Command { return single(d.command("watchdog-refuses", d.long(), d.node(s))) }},
	{2, func(d *draw, s *Spec) []Command { return single(d.command("etcd-down", d.short())) }},
	{1, func(d *draw, s *Spec) []Command { return single(d.command("voter-down", d.long(), d.node(s))) }},
	{2, func(d *draw, s *Spec) []Command {
		return single(d.command("slow-fsync", d.long(), d.node(s), d.between(20*time.Millisecond, 1500*time.Millisecond).String()))
	}},
	{1, func(d *draw, s *Spec) []Command {
		return single(d.command("lag-watch", d.long(), d.node(s), d.between(100*time.Millisecond, 6*time.Second).String()))
	}},
	{1, func(d *draw, s *Spec) []Command {
		return single(d.command("break-watch", 0, d.node(s), d.between(time.Second, 20*time.Second).String()))
	}},
	{2, func(d *draw, s *Spec) []Command {
		return single(d.command("lost-answers", d.long(), d.node(s), text(5+d.r.IntN(40))))
	}},
	{1, func(d *draw, s *Spec) []Command { return single(d.command("move-raft", 0, d.node(s))) }},
	{1, func(d *draw, s *Spec) []Command { return single(d.command("compact", 0)) }},
	{1, func(d *draw, s *Spec) []Command {
		b := d.command("etcd-backup", 0)
		r := Command{At: b.At + d.between(time.Second, 30*time.Second), Verb: "etcd-restore"}
		return []Command{b, r}
	}},
	{2, func(d *draw, s *Spec) []Command {
		return single(d.command("fail-start", 0, d.node(s), d.guest(s), text(1+d.r.IntN(2))))
	}},
	{1, func(d *draw, s *Spec) []Command { return single(d.command("lie-start", 0, d.node(s), "1")) }},
	{1, func(d *draw, s *Spec) []Command {
		return single(d.command("hang-task", 0, d.node(s), d.short().String()))
	}},
	{2, func(d *draw, s *Spec) []Command {
		return single(d.command("block-pmxcfs", 0, d.node(s), d.short().String()))
	}},
	{2, func(d *draw, s *Spec) []Command { return single(d.command("crash-guest", 0, d.guest(s))) }},
	{1, func(d *draw, s *Spec) []Command {
		return single(d.command("set-lock", 0, d.guest(s), pick(d, "backup", "migrate", "snapshot")))
	}},
	{1, func(d *draw, s *Spec) []Command { return single(d.command("managed", d.long(), d.guest(s))) }},
	{2, func(d *draw, s *Spec) []Command {
		return single(d.deviceFault(s, "device-slow", d.between(100*time.Millisecond, 6*time.Second).String()))
	}},
	{2, func(d *draw, s *Spec) []Command { return single(d.deviceFault(s, "device-dead")) }},
	{2, func(d *draw, s *Spec) []Command { return single(d.deviceFault(s, "device-stuck")) }},
	{1, func(d *draw, s *Spec) []Command { return single(d.deviceFault(s, "device-wrong-uuid")) }},
	{2, func(d *draw, s *Spec) []Command { return single(d.deviceFault(s, "device-dies-with-power")) }},
	{2, func(d *draw, s *Spec) []Command { return single(d.command("qm-start", 0, d.node(s), d.guest(s))) }},
	{1, func(d *draw, s *Spec) []Command { return single(d.command("qm-stop", 0, d.node(s), d.guest(s))) }},
	{1, func(d *draw, s *Spec) []Command { return single(d.command("move-guest", 0, d.guest(s), d.node(s))) }},
	{1, func(d *draw, s *Spec) []Command { return single(d.command("unprotect", d.long(), d.guest(s))) }},
	{1, func(d *draw, s *Spec) []Command { return single(d.command("set-onboot", 0, d.guest(s))) }},
	{3, func(d *draw, s *Spec) []Command { return single(d.command("drain", d.long(), d.node(s))) }},
	{1, func(d *draw, s *Spec) []Command { return single(d.command("fence", 0, d.node(s))) }},
	{1, func(d *draw, s *Spec) []Command {
		return single(d.command("give-access", 0, s.Storages[d.r.IntN(len(s.Storages))].Name, d.node(s)))
	}},
}

// faultTime is when faults may begin and by when all are over.
const (
	faultsFrom  = 12 * time.Second
	faultsUntil = 70 * time.Second
	runLength   = 120 * time.Second
)

// faults draws four to nine kinds of fault, at least one of them a death.
func (d *draw) faults(s *Spec) {
	s.Settle = 180 * time.Second
	if s.Timing.Profile == "patient" {
		s.Settle += 120 * time.Second
	}
	add := func(f fault) {
		for _, c := range f.draw(d, s) {
			if c.Verb != "" {
				s.Commands = append(s.Commands, c)
			}
		}
	}
	add(weighted(d, deaths))
	if d.chance(0.25) {
		add(weighted(d, deaths))
	}
	for range 4 + d.r.IntN(5) {
		add(weighted(d, mishaps))
	}
	if d.chance(0.08) {
		s.Old = []string{d.node(s)} // the others lead
	}
	for _, c := range s.Commands {
		s.Length = max(s.Length, c.At+c.For+time.Second)
	}
	slices.SortStableFunc(s.Commands, func(a, b Command) int { return int(a.At - b.At) })
}

func weighted(d *draw, of []fault) fault {
	sum := 0
	for _, f := range of {
		sum += f.weight
	}
	n := d.r.IntN(sum)
	for _, f := range of {
		if n -= f.weight; n < 0 {
			return f
		}
	}
	return of[0]
}

// command draws its time; one that lasts is over before the run's length.
func (d *draw) command(verb string, lasts time.Duration, args ...string) Command {
	at := d.between(faultsFrom, faultsUntil)
	return Command{At: at, Verb: verb, Args: args, For: min(lasts, runLength-time.Second-at)}
}

func (d *draw) long() time.Duration  { return d.between(10*time.Second, 60*time.Second) }
func (d *draw) short() time.Duration { return d.between(300*time.Millisecond, 20*time.Second) }

func (d *draw) net() string {
	return pick(d, "cluster", "cluster", "corosync", "storage", "mgmt", "all")
}

// node draws one that carries guests.
func (d *draw) node(s *Spec) string {
	for {
		if h := s.Hosts[d.r.IntN(len(s.Hosts))]; !h.Witness {
			return h.Name
		}
	}
}

func (d *draw) anyone(s *Spec) string {
	if d.chance(0.3) {
		return "*"
	}
	return s.Hosts[d.r.IntN(len(s.Hosts))].Name
}

func (d *draw) guest(s *Spec) string { return text(int(s.Guests[d.r.IntN(len(s.Guests))].ID)) }

// deviceFault is nothing on a site without devices.
func (d *draw) deviceFault(s *Spec, verb string, args ...string) Command {
	var names []string
	for _, x := range s.Devices {
		if x.Kind == ha.PowerDevice {
			names = append(names, x.Name)
		}
	}
	if len(names) == 0 {
		return Command{}
	}
	return d.command(verb, d.long(), append([]string{names[d.r.IntN(len(names))]}, args...)...)
}
