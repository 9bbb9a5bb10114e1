package ha

// Candidate is a node as placement sees it.
type Candidate struct {
	Node        NodeName
	Incarnation Incarnation
	Usable      bool     // online, registered, corosync-quorate, not draining
	Why         string   // why not usable
	MemoryFree  int64    // bytes left for guests after those assigned or running there
	Guests      int      // guests assigned there
	Storages    []string // that Proxmox there would use and that are not lost
	Lost        []string // that the node's own looks find lost, whatever Proxmox says
}

// Placement is where a guest goes, or why nowhere.
type Placement struct {
	Node     NodeName // empty: no place
	Rejected []Rejection
}

// Rejection says why a guest may not run on a node.
type Rejection struct {
	Node NodeName `json:"node"`
	Why  string   `json:"why"`
}
