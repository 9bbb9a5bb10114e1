package doctor

// checks are all checks, in the order in which their findings stand among equally grave ones. What `hactl status` tells comes last: a check
// that says more about the same thing takes its place.
var checks = [...]check{
	answers, watchdogs, caps, reservations, fencing, timing, corosync, clocks, ports, networks, disk, configs, certificates, token, bootCheck, shared, luns, guests, memory,
	versions, status,
}
