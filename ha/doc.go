// Package ha is the vocabulary of Bascule: identifiers, node and guest states, the records kept in the
// store, proofs that a dead node cannot write any more, the timing derived from a profile, and the value
// types that pass through the ports between the pure machines and the outside.
//
// The package is pure: it knows no clock, no I/O, no goroutine, no log, no global randomness, and it imports
// nothing but the standard library. The machines built on it are as pure: ha/leader decides, ha/node keeps a
// node's lease, permit and guests, ha/ladder walks the fencing levels, ha/placement chooses nodes. The shells
// (ha/agent, ha/guard, cmd) read clocks and devices, feed the machines and carry out what they return; tests/sim runs
// the same machines in a simulated machine room, with a judge who knows the physical truth.
//
// # The safety argument, rule by rule
//
// A guest is never able to write in two places at once. For each rule: the code that keeps it, the judge's assertion in tests/sim
// that watches it, and the deliberate bugs (docs/mutants.md) that show that the assertion sees.
//
// R1, one place. A guest's record lists its holders: every (node, boot) that may have a process, a PVE worker or a mapped volume of it. A
// target becomes a holder in the commit that assigns it (ha/leader assign, planMove), before it may act. MayReassign is the one test
// for giving a guest to somebody new: each holder is covered by a Proof about that boot, or has itself committed that it released the guest
// after a scan found nothing (ha/node scanned), also when it leaves a living node that has lost its storage (ha/leader flee.go). Judge: onePlace (physical: two hosts able to write), assigned (who is dropped as a holder
// is proven or has released, on paper and in truth). Mutants: reassign-first-holder-only … uncommitted-proofs.
//
// R2, permit. A node runs protected guests only under its permit, whose deadline counts from the sending of the last good renewal, less the
// drift margin (Timing.PermitDeadline, ha/node leased); the guard's machine (ha/node GuardStep) kills when it ends and goes on
// until two scans found nothing, or lets the watchdog end the node. A lease that the store says is gone ends the permit at once (EndPermit).
// What an agent begins needs a permit of the lease's own (Lease.Acts), a guard that knows the guest (PermitGuests), and no quiet time
// (mayAct). onboot is taken from protected guests (StepOnboot). With isolation: keep (Config.Keeps) a guest runs on only where each of its
// storages can be revoked, and the node then never counts as armed. Judge: endedInTime, begins, the audit's guard checks.
//
// R3, proof. ha/ladder alone builds proofs, from raw readings (an architecture test enforces it): PowerOffConfirmed and SelfFenceElapsed in
// proofs.go, StorageRevoked in storage.go, PoisonPill in poison.go, and that only about a boot that says in the store that it watches its
// slots (NodeReport.Watches). A device may prove something about a boot only when it read right during that boot's live lease (ha/leader
// devices.go). SelfFenceElapsed counts W (Timing.SelfFence, through the mux Timing.Through) from the later of the lease seen gone and the end
// of this leader's promise (ha/leader facts); the record says armed only as Config.Report allows, and the watchdog is disarmed only as
// Config.MayDisarm allows. The commit of a proof rests on lease and report being as they were (rests), and revokes exactly the proven lease.
// A boot that is recorded as ended gets no lease again (Config.Barred). Judge: covered, revokes, deputyRevokes, disarms, the audit's checks
// of each kind of proof.
//
// R4, term. Every write of a leader names its term, the create revision of the leader key, and the records' own revisions (ha/leader
// commits.go); the store adapter turns the term into a comparison. A device command is in the fence record before it is sent, and sent only
// while the leader's own deadline minus the device's time-out lies ahead (ha/ladder climb.go); there is off, and on after the stored end
// (ha/ladder on.go), no cycle. A reset is for devices that know nothing else: it proves nothing, only the next boot's registration does. It is
// committed only while no other boot is known to the store, and never repeated while the machine may still be booting, by whichever leader
// (ha/ladder reset.go). Judge: applied, commands, the audit's checks of resets.
//
// R5, ownership. An agent starts a guest only after linearizable reads say: mine, this generation, my boot, this epoch of the store
// (Config.MayStart), and after a transaction that makes the start known, which rests on the guest's record, the node's own record (not being
// fenced) and the cluster record (Config.MayLive, Announcement). A config is renamed only from a node that the record names (ClaimFrom); its lock is
// cleared afterwards. Judge: begins, step.
//
// R6, derived timing. timing.go derives every wait from a profile; Check names the inequality that a configuration breaks. A node
// publishes what it runs with and the leader reckons with that.
//
// R7, two brains. A guest that Proxmox's own HA manages is frozen, whoever finds it in its list (ha/leader managed), and an agent that
// sees it there leaves it alone (ha/node State.Managed). Judge: leftAlone.
//
// R8, rollback. The cluster record carries an epoch, and every assignment the epoch it belongs to. A restore raises it; a member whose view
// of the store contradicts an earlier one (WentBack) makes the leader raise it. Agents act only on assignments of the epoch that they have
// taken note of with nothing older under way (ha/node takeEpoch); the leader assigns anew when every member has reported in it or is
// proven off since (ha/leader rebuild.go). A store that is overwritten without the procedure is found when any member that saw
// the lost history is connected. Judge: begins (no start by an older epoch).
//
// # When the store is away (part 5 of the design)
//
// ha/node peers.go: a node whose renewal failed asks every other member, round after round; all must promise. The promise binds whoever
// leads later (leader.Observation.Promises). A leader that has lost the store steps down to be able to give it. A silent member counts only
// when its power reads off, anew in each round (power.go). A peer permit continues an unbroken permit and begins nothing. A starting daemon is
// quiet for longer than any permit it may have forgotten. The same passive walk lets any agent, as a deputy, end the lease of a leader that
// reads off.
package ha
