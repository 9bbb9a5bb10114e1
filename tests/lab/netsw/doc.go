// Package netsw is the lab's network: a switch in user space between the nodes of a simulated cluster.
//
// Every node has a public address, on which this switch listens, and a bind address, on which the node's own
// processes listen. Whatever a node sends to another node's public address passes through here, is attributed to
// the node that sent it, and goes on to the bind address of the other one, unless the link is cut or one of
// the two has no power.
//
// A cut link and a dead node look like packets that vanish, because that is what makes death detection slow in
// reality: connections stall without FIN or RST and go on after healing, new ones are accepted and stay
// silent, datagrams are lost. When a node loses its power, the kernel of this machine closes the sockets of its
// killed processes at once; the switch keeps that to itself.
//
// It may never: let a byte through a cut link, tell a peer of a dead node that the connection was closed before the power is
// back, or listen on anything but the addresses it was given.
package netsw
