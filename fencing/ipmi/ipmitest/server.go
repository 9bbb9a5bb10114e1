package ipmitest

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"

	"github.com/bougou/go-ipmi/pkg/bmc"
	"github.com/bougou/go-ipmi/pkg/hal/mock"
	"github.com/bougou/go-ipmi/pkg/handlers"
	"github.com/bougou/go-ipmi/pkg/server"
	"github.com/bougou/go-ipmi/pkg/transport"
	"github.com/bougou/go-ipmi/pkg/types"
)

// Machine is what the controller's commands reach. Its methods are called side by side.
type Machine interface {
	// ChassisStatus is the answer to Get Chassis Status, three or four bytes, or a completion code that refuses.
	ChassisStatus() ([]byte, types.CompletionCode)
	// ChassisControl carries out Chassis Control with the given byte: 0 power down, 1 power up, more than that for others.
	ChassisControl(control byte) types.CompletionCode
	// SystemGUID is the answer to Get System GUID, sixteen bytes in the maker's order.
	SystemGUID() ([]byte, types.CompletionCode)
}

// Status is a chassis status without faults. There is no bit for a machine that is just switching off: that reads on.
func Status(on bool) []byte {
	if on {
		return []byte{0x41, 0x10, 0x40, 0}
	}
	return []byte{0x40, 0, 0x40, 0}
}

// Options describes one controller.
type Options struct {
	Suites         []types.CipherSuiteID // those that it takes; none: 3 and 17
	User, Password string
	Level          bmc.PrivilegeLevel // the account's highest; 0: operator
	KG             []byte             // BMC key; nil: none
	Told           [16]byte           // the GUID of the handshake
	NoGUID         bool               // it does not know Get System GUID
	Machine        Machine
}

// userSlot is the account's number: 1 is the anonymous one.
const userSlot = 2

// Server is one running controller.
type Server struct {
	bmc    *bmc.BMC
	server *server.Server
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// Serve answers on a connection, which belongs to the server from now on, until Close.
func Serve(conn transport.PacketConn, o Options) (*Server, error) {
	if len(o.Suites) == 0 {
		o.Suites = []types.CipherSuiteID{3, 17}
	}
	if o.Level == 0 {
		o.Level = bmc.PrivilegeLevelOperator
	}
	opts := []bmc.Option{bmc.WithCipherSuites(o.Suites)}
	if o.KG != nil {
		opts = append(opts, bmc.WithKG(o.KG))
	}
	b := bmc.New(bmc.DeviceInfo{IPMIVersion: 0x20}, o.Told, mock.New(), opts...)
	if err := addUser(b, o); err != nil {
		return nil, fmt.Errorf("the IPMI account %q cannot be made: %w", o.User, err)
	}
	s := &Server{bmc: b, server: server.NewServer(b, conn, server.WithHandlerRegistry(commands(o)))}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.done.Go(func() { _ = s.server.Serve(ctx) }) // ends with Close
	return s, nil
}

func addUser(b *bmc.BMC, o Options) error {
	u, err := b.Users.Add(userSlot, o.User)
	if err != nil {
		return err
	}
	return b.Users.Update(u.ID, func(u *bmc.User) error {
		u.SetPassword([]byte(o.Password))
		u.Enabled = true
		u.ChannelAccess = map[uint8]bmc.UserChannelAccess{1: {MaxPrivilege: o.Level, Enabled: true}}
		return nil
	})
}

// commands are those of go-ipmi, with the machine's in the place of its mock.
func commands(o Options) *handlers.Registry {
	r, m := handlers.NewRegistry(), o.Machine
	handlers.RegisterAllHandlers(r)
	r.RegisterFunc(types.CommandGetChassisStatus, func(context.Context, *handlers.HandlerContext, []byte) ([]byte, types.CompletionCode, error) {
		data, code := m.ChassisStatus()
		return data, code, nil
	})
	r.RegisterFunc(types.CommandChassisControl, func(_ context.Context, _ *handlers.HandlerContext, req []byte) ([]byte, types.CompletionCode, error) {
		if len(req) != 1 {
			return nil, types.CodeRequestDataLengthInvalid, nil
		}
		return nil, m.ChassisControl(req[0]), nil
	})
	if !o.NoGUID {
		r.RegisterFunc(types.CommandGetSystemGUID, func(context.Context, *handlers.HandlerContext, []byte) ([]byte, types.CompletionCode, error) {
			guid, code := m.SystemGUID()
			return guid, code, nil
		})
	}
	return r
}

// SetPassword changes the account's password; sessions that are open stay.
func (s *Server) SetPassword(password string) error {
	return s.bmc.Users.Update(userSlot, func(u *bmc.User) error { u.SetPassword([]byte(password)); return nil })
}

// Sessions counts the sessions that are open now.
func (s *Server) Sessions() int { return s.bmc.Sessions.Count() }

// Close ends the service and its connection.
func (s *Server) Close() {
	s.cancel()
	_ = s.server.Close() // closes the connection, which cannot fail in a way that matters
	s.done.Wait()
}

// GUID is a system UUID as it stands on the wire in the text's order; nil for a text that is no UUID.
func GUID(uuid string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(uuid, "-", ""))
	if err != nil || len(b) != 16 {
		return nil
	}
	return b
}
