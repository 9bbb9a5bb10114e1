package lab

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// cut cuts a node off: from everybody, or only from one other node; in both directions, or only what it hears.
func (w *World) cut(c Command) (string, error) {
	peers, err := w.peers(c)
	if err != nil {
		return "", err
	}
	if c.From == "" && !c.OneWay {
		if err := w.network.Isolate(c.Node, true); err != nil {
			return "", err
		}
		w.networkChanged("cut " + c.Node)
		return c.Node + " is cut off from all others", nil
	}
	for _, peer := range peers {
		if err := w.network.SetLink(peer, c.Node, false); err != nil {
			return "", err
		}
		if c.OneWay {
			continue
		}
		if err := w.network.SetLink(c.Node, peer, false); err != nil {
			return "", err
		}
	}
	direction := "nothing passes between %s and %v"
	if c.OneWay {
		direction = "%s hears nothing from %v; what it says still arrives"
	}
	detail := fmt.Sprintf(direction, c.Node, peers)
	w.networkChanged("cut: " + detail)
	return detail, nil
}

// heal undoes every cut of a node, or those between it and one other node.
func (w *World) heal(c Command) (string, error) {
	peers, err := w.peers(c)
	if err != nil {
		return "", err
	}
	if c.From == "" {
		if err := w.network.Isolate(c.Node, false); err != nil {
			return "", err
		}
	}
	for _, peer := range peers {
		for _, pair := range [][2]string{{peer, c.Node}, {c.Node, peer}} {
			if err := w.network.SetLink(pair[0], pair[1], true); err != nil {
				return "", err
			}
			if err := w.network.SetUDP(pair[0], pair[1], 0, 0); err != nil {
				return "", err
			}
		}
	}
	detail := fmt.Sprintf("%s is connected with %v again", c.Node, peers)
	w.networkChanged("heal: " + detail)
	return detail, nil
}

// link sets the quality of one direction for datagrams.
func (w *World) link(c Command) (string, error) {
	if _, err := w.peers(c); err != nil {
		return "", err
	}
	if c.From == "" {
		return "", fmt.Errorf("link to %s: name the node that the datagrams come from", c.Node)
	}
	if err := w.network.SetUDP(c.From, c.Node, c.Delay, c.Loss); err != nil {
		return "", err
	}
	detail := fmt.Sprintf("datagrams %s->%s: delay %s, loss %.0f %%", c.From, c.Node, c.Delay, 100*c.Loss)
	w.events.add(EventNetwork, c.Node, detail)
	return detail, nil
}

// peers are the other ends that a network command is about: From, or all other nodes.
func (w *World) peers(c Command) ([]string, error) {
	if _, err := w.node(c.Node); err != nil {
		return nil, err
	}
	if c.From == c.Node {
		return nil, fmt.Errorf("%s cannot be cut off from itself", c.Node)
	}
	if c.From != "" {
		_, err := w.node(c.From)
		return []string{c.From}, err
	}
	var out []string
	for _, name := range w.opt.machines() {
		if name != c.Node {
			out = append(out, name)
		}
	}
	return out, nil
}

// signal sends a signal to one of a node's daemons, by its pid.
func (w *World) signal(c Command) (string, error) {
	n, err := w.node(c.Node)
	if err != nil {
		return "", err
	}
	sig := unix.SignalNum("SIG" + c.Signal)
	if sig == 0 {
		return "", fmt.Errorf("signal %q is not known: write STOP, CONT, KILL, TERM, INT, HUP, USR1, USR2 or QUIT", c.Signal)
	}
	n.mu.Lock()
	life := n.life
	n.mu.Unlock()
	if life == nil {
		return "", fmt.Errorf("%s is %s: nothing runs there", c.Node, n.is())
	}
	// Under its lock the life's map names only children that are not reaped, so the number is still theirs.
	life.mu.Lock()
	defer life.mu.Unlock()
	pid := life.pids[c.Role]
	if pid == 0 {
		return "", fmt.Errorf("%s does not run on %s now; its log is %s", c.Role, c.Node, w.layout.Node(c.Node, "log", c.Role+".log"))
	}
	if err := unix.Kill(pid, sig); err != nil {
		return "", fmt.Errorf("sending SIG%s to %s of %s (pid %d): %w", c.Signal, c.Role, c.Node, pid, err)
	}
	detail := fmt.Sprintf("SIG%s to %s (pid %d)", c.Signal, c.Role, pid)
	w.events.add(EventSignal, c.Node, detail)
	return detail, nil
}

// operator does to a guest what a person at the node's console would; Bascule is not asked.
func (w *World) operator(c Command) (string, error) {
	n, err := w.node(c.Node)
	if err != nil {
		return "", err
	}
	task, err := w.pve.Operator(n.name, c.VMID, c.Action)
	if err != nil {
		return "", err
	}
	w.events.add(EventOperator, c.Node, fmt.Sprintf("%s %d: %s", c.Action, c.VMID, task))
	return task, nil
}

// etcd makes the store dead for everybody, although network and daemons are well, or lets it live again.
func (w *World) etcd(c Command) (string, error) {
	if c.Fault != "down" && c.Fault != "up" {
		return "", fmt.Errorf("etcd can be made %q or %q, not %q", "down", "up", c.Fault)
	}
	for _, port := range []int{PortEtcdPeer, PortEtcdClient} {
		w.network.SetPort(port, c.Fault == "up")
	}
	w.networkChanged("etcd " + c.Fault)
	return "etcd is " + c.Fault, nil
}

// port makes a TCP port of every node carry nothing between nodes, as a firewall does that drops, or lets it pass again; with From and Node
// only what From has to do with that port of Node.
func (w *World) port(c Command) (string, error) {
	if c.Fault != "down" && c.Fault != "up" {
		return "", fmt.Errorf("a port can be made %q or %q, not %q", "down", "up", c.Fault)
	}
	if c.Port < 1 || c.Port > 65535 {
		return "", fmt.Errorf("%d is no port", c.Port)
	}
	detail := fmt.Sprintf("port %d is %s", c.Port, c.Fault)
	if c.From != "" {
		if err := w.network.SetWay(c.From, c.Node, c.Port, c.Fault == "up"); err != nil {
			return "", err
		}
		detail += fmt.Sprintf(" from %s to %s", c.From, c.Node)
	} else {
		w.network.SetPort(c.Port, c.Fault == "up")
	}
	w.networkChanged(detail)
	return detail, nil
}
