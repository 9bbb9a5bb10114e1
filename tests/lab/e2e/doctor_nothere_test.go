//go:build e2e

package e2e

const (
	otherLab   = "it takes a lab that is fenced in another way, or none of its devices at all: the table test has it"
	noKernel   = "it takes a device that only a kernel's module makes, and none can be loaded in the lab: the table test has it, with facts from a made-up /sys"
	otherTests = "it lasts only while nodes die or are cut off, which the other tests of this package do; hactl status tells it, and the doctor passes it on"
)

// faultsNotHere is why TestDoctor does not bring about what hactl doctor may find: where else a real fault does, or why none can be made.
var faultsNotHere = map[string]string{
	"node-unanswered": otherTests,
	"probe-silent":    "gather's own test has a probe that hangs; what hangs here (Proxmox's API, a storage) also moves guests",
	"facts-newer":     "there is only one version of the facts yet: the table test has a later one",

	"corosync-device-silent": "the lab's corosync is simulated: make install-test has a real one, whose QDevice loses its witness",

	"watchdog-unarmed":         otherLab,
	"watchdog-held":            noKernel,
	"watchdog-softdog":         noKernel,
	"watchdog-slow":            otherLab,
	"ceph-caps":                "it takes a Ceph cluster: TestRealRights of fencing/cephblocklist has accounts that lack each right at a real one",
	"lun-reservations-missing": "it takes a SAN: TestUnsupported of fencing/scsipr has targets that lack each thing, over iSCSI and as a kernel's disk",
	"lun-reservations-unused":  noKernel,
	"lun-paths":                noKernel,
	"fence-none":               otherLab,
	"fence-device-partly":      "the lab's management controllers are reached past the lab's switch, by all nodes alike: the table test has it",
	"fence-device-unproven":    otherLab,
	"fence-self-only":          otherLab,
	"fence-busy":               otherTests,

	"timing-too-fast":      "how fast this machine is at the moment decides; TestProfiles has the bounds",
	"hardware-too-slow":    "how fast this machine is at the moment decides; TestProfiles has the bounds",
	"clock-unsynchronised": "it is this machine's own clock, which no test may change",
	"mtu-differs":          "all of a lab's addresses are on one loopback interface: the table test has it",
	"mtu-path":             "the lab's switch knows no packets: TestJumboFramesVanish of ha/setup/doctor/gather has a real bridge that loses them",
	"network-single":       "every lab has it: there is one network",
	"token-unchecked":      "its cause here, a Proxmox that hangs, also moves guests: the table test has it",

	"store": otherTests, "store-stale": otherTests, "leader-none": otherTests, "permit-none": otherTests, "guard-away": otherTests, "proxmox-quorum": otherTests,
	"storage-lost": otherTests, "node-state": otherTests, "fencing-means": otherLab, "fencing-device": otherTests, "guest-error": otherTests, "guest-recovery": otherTests,
	"guest-refused":     "guest-two-stacks says more of the same fault",
	"guest-pinned":      "guest-cannot-move says more of the same fault",
	"record-unreadable": "writing rubbish into the store would stay there: ha/api's tests have it",
	"node-reports":      "token-weak says more of the same fault",
}
