// Package setup brings Bascule onto a site and off it again: what hactl init, join, remove and reset do.
//
// Discovered facts (ha/setup/discover) and the operator's answers become a Plan: the configuration, every file, every change in Proxmox, each choice with its
// reason in one line. Planning is pure. Apply then makes true what is not true yet, step by step: each Step looks before it does, so that a
// second run does nothing and a run that was broken off is gone on with by the next.
//
// What is where:
//
//   - /etc/pve/bascule, replicated by Proxmox: the common part of the configuration (basculed.yaml), the authority's certificate (ca.pem), and which nodes
//     have joined (nodes/NAME).
//   - /etc/pve/priv/bascule, for root alone: the authority's key, the gossip key, passwords of BMCs.
//   - /etc/bascule, local: this node's whole configuration, rendered from the common part, and copies of what it needs: the daemon starts
//     without quorum, and without /etc/pve.
//
// It may never: put a secret on a command line or into a text that somebody sees; write a configuration that claims a recovery that cannot
// happen; let a second store form (one node forms it, every other is let in); change guests; overwrite what a person has written
// without keeping it.
package setup
