package ha

// DeviceKind is what a fencing device can do, and so what it can prove.
type DeviceKind string

// The kinds of devices. Anything else is treated as ManualDevice: nothing is asked of it.
const (
	PowerDevice   DeviceKind = "power"   // switches a machine and reads its power: PowerOffConfirmed
	StorageDevice DeviceKind = "storage" // takes an incarnation's access to storages away: StorageRevoked
	PoisonDevice  DeviceKind = "poison"  // writes a message that makes the node end itself: PoisonPill
	ResetDevice   DeviceKind = "reset"   // can only be told to reset a machine; nothing it says proves anything: the NewBoot that follows does
	ManualDevice  DeviceKind = "manual"  // a person: OperatorConfirmed
)

// Action is the command with which the device fences; empty when it takes none. It is sent only after its intent is
// committed (R4).
func (k DeviceKind) Action() DeviceAction {
	switch k {
	case PowerDevice:
		return DeviceOff
	case StorageDevice:
		return DeviceRevoke
	case PoisonDevice:
		return DevicePoison
	case ResetDevice:
		return DeviceReset
	}
	return ""
}

// Acts says whether there is a device at all that takes commands and answers reads.
func (k DeviceKind) Acts() bool { return k.Action() != "" }

// StorageAccess is a device's literal answer about one storage and the clients that it was asked about.
type StorageAccess string

// The answers. Only a literal AccessRevoked may support a proof; only a literal AccessOpen takes one back.
const (
	AccessOpen    StorageAccess = "open"    // at least one of the clients can write
	AccessRevoked StorageAccess = "revoked" // none of the clients can write, as checked just now
	AccessUnknown StorageAccess = "unknown"
)

// StorageReading is a storage device's answer about one of its storages.
type StorageReading struct {
	Storage string
	Access  StorageAccess
}
