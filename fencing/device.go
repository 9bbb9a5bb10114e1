package fencing

import (
	"context"
	"fmt"
	"time"

	"bascule/ha"
)

// What holds for every device: each call ends with its context, makes its own connection and fails with an error that wraps one of
// this package's. The text of errors holds no secrets. Implementations start no process that could outlive the call: a child of
// theirs dies with its parent (SysProcAttr.Pdeathsig) and with the context.

// PowerDevice switches one machine and reads its power.
type PowerDevice interface {
	// Read asks for the machine's power and identity. With an error the power is not known.
	Read(ctx context.Context) (Reading, error)
	// Off sends the switch-off: the hard one, that no operating system can delay. nil means that the device accepted
	// it or that it says the machine is off already; it proves nothing.
	Off(ctx context.Context) error
	// On sends the switch-on. nil means accepted.
	On(ctx context.Context) error
}

// Reading is what a device says of its machine, literally.
type Reading struct {
	Power      ha.Power
	SystemUUID string // empty where the device does not tell; compare with SameUUID
}

// StorageDevice takes the access of one incarnation of a node to storages away. Who it is are the addresses that the incarnation
// published (ha.NodeReport.Clients): its address on the storage network as an IP address, its key for SCSI reservations, and so on, each
// written as "KIND:VALUE"; an implementation uses those of its own kinds.
type StorageDevice interface {
	// Storages names the Proxmox storages that the settings say it takes away, in order.
	Storages() []string
	// Read says of each storage whether any of these clients can write to it, as checked just now, literally.
	// With no clients it looks only whether a Revoke would work now: access, rights, versions.
	Read(ctx context.Context, clients []string) ([]ha.StorageReading, error)
	// Revoke takes the access away from these clients on all storages. nil means accepted; it proves nothing.
	Revoke(ctx context.Context, clients []string) error
}

// Restorer is a StorageDevice that shuts out more than one boot, an address for example: it has to be told when the next boot may write again.
type Restorer interface {
	// Restore gives back to these clients exactly what Revoke took away, nothing that others did. nil means done.
	Restore(ctx context.Context, clients []string) error
}

// PoisonDevice writes a message that makes the node end itself, on disks that both can reach.
type PoisonDevice interface {
	// MsgWait is how long after the message has been read back the node has certainly ended, as the settings say.
	MsgWait() time.Duration
	// Read says on how many disks the node's own slot holds a message that ends it, and how many disks there are, readable or not. A disk
	// that cannot be read counts among the disks. It is an error if no disk can be read, or if a disk's own times contradict MsgWait.
	Read(ctx context.Context) (pills, disks int, err error)
	// Poison writes the message to every disk. nil means that a majority took it.
	Poison(ctx context.Context) error
}

// ResetDevice can do nothing but have one machine reset, through somebody else's service. Nothing that it says proves anything: the proof is
// the machine's next boot (ha.NewBoot).
type ResetDevice interface {
	// Read says whether a Reset would work now: nil when the service knows the credentials and the machine, it is the one that the
	// settings describe, and the service offers the reset for it.
	Read(ctx context.Context) error
	// Reset has the machine reset: the hard one, that no operating system can delay. nil means that the service took it. An error that
	// does not rule out that the machine will be reset is marked by Perhaps.
	Reset(ctx context.Context) error
}

// Cautious is what a device whose service locks accounts or addresses after wrong log-ins has beside its kind. The switching command is
// sent by a process of its own, which remembers nothing: the executor asks and tells the device in this process.
type Cautious interface {
	// MayAsk is nil, or says why the service is not asked now; it wraps one of this package's errors.
	MayAsk() error
	// Heard is told what came of a command that another process sent.
	Heard(err error)
}

// Device is an opened device: one of the kinds.
type Device struct {
	Power   PowerDevice
	Storage StorageDevice
	Poison  PoisonDevice
	Reset   ResetDevice
}

func (m Method) open(settings map[string]string) (d Device, err error) {
	switch m.Kind() {
	case ha.PowerDevice:
		d.Power, err = m.Power(settings)
	case ha.StorageDevice:
		d.Storage, err = m.Storage(settings)
	case ha.PoisonDevice:
		d.Poison, err = m.Poison(settings)
	case ha.ResetDevice:
		d.Reset, err = m.Reset(settings)
	default:
		err = CheckSettings(m.Keys, settings)
	}
	return d, err
}

// read asks the device for what it says, into the reading of the command.
func (d Device) read(ctx context.Context, cmd ha.DeviceCommand) (got ha.DeviceReading, err error) {
	got.Power = ha.PowerUnknown
	switch {
	case d.Power != nil:
		var r Reading
		if r, err = d.Power.Read(ctx); err == nil {
			got.Power, got.SystemUUID = literal(r.Power), Printable(r.SystemUUID, 64)
		}
		if err == nil && got.Power == ha.PowerUnknown {
			err = fmt.Errorf("%w: it does not say whether the machine is on or off", ErrRubbish)
		}
	case d.Storage != nil:
		got.Storages, err = d.Storage.Read(ctx, cmd.Clients)
	case d.Poison != nil:
		got.Pills, got.Disks, err = d.Poison.Read(ctx)
	case d.Reset != nil:
		err = d.Reset.Read(ctx)
	default:
		err = fmt.Errorf("%w: there is no device to read", ErrByHand)
	}
	if err != nil {
		return ha.DeviceReading{Power: ha.PowerUnknown}, err
	}
	return got, nil
}

// send carries out a command that changes something.
func (d Device) send(ctx context.Context, action ha.DeviceAction, clients []string) error {
	switch {
	case d.Power != nil && action == ha.DeviceOff:
		return d.Power.Off(ctx)
	case d.Power != nil && action == ha.DeviceOn:
		return d.Power.On(ctx)
	case d.Storage != nil && action == ha.DeviceRevoke:
		return d.Storage.Revoke(ctx, clients)
	case d.Storage != nil && action == ha.DeviceRestore:
		if r, ok := d.Storage.(Restorer); ok {
			return r.Restore(ctx, clients)
		}
		return nil // what was taken away belonged to the boot that has ended
	case d.Poison != nil && action == ha.DevicePoison:
		return d.Poison.Poison(ctx)
	case d.Reset != nil && action == ha.DeviceReset:
		return d.Reset.Reset(ctx)
	}
	return fmt.Errorf("%w: such a device does not know the command %q: it was sent to the wrong kind of device", ErrRefused, string(action))
}

// literal lets only the readings that exist through.
func literal(p ha.Power) ha.Power {
	switch p {
	case ha.PowerOn, ha.PowerOff, ha.PowerPoweringOn, ha.PowerPoweringOff:
		return p
	}
	return ha.PowerUnknown
}
