package ipmi

import (
	"fmt"

	"github.com/bougou/go-ipmi/pkg/types"

	"bascule/fencing"
)

// refusedLogin translates the status with which a controller ends the handshake.
func (h *handshake) refusedLogin(code types.RmcpStatusCode) error {
	switch code {
	case types.RmcpStatusCodeInvalidSessionID, types.RmcpStatusCodeInactiveSessionID:
		return stale{fmt.Errorf("%w: it forgot the session while it was opened (%s)", fencing.ErrRubbish, code)}
	case types.RmcpStatusCodeUnauthorizedName, types.RmcpStatusCodeInvalidNameLength, types.RmcpStatusCodeInvalidIntegrityCheckValue:
		return fmt.Errorf("%w: the controller does not let %q in over IPMI (%s)", fencing.ErrAuth, h.user, code)
	case types.RmcpStatusCodeInvalidRole, types.RmcpStatusCodeUnauthorizedRoleOfPriLevel:
		return fmt.Errorf("%w: %q may not work as %s (%s): give the account that level on this channel, or change privilege", fencing.ErrRefused, h.user, h.privilege, code)
	case types.RmcpStatusCodeNoResToCreateSess, types.RmcpStatusCodeNoResToCreateSessAtRole:
		return fmt.Errorf("%w: all its sessions are in use", fencing.ErrTimeout)
	}
	return fmt.Errorf("%w: it ends the login with status %02Xh (%s)", fencing.ErrRubbish, uint8(code), code)
}

// refused translates the completion code with which a controller declines a command.
func refused(cmd types.Command, code types.CompletionCode) error {
	kind := fencing.ErrRefused
	if code == types.CodeProcessTimeout {
		kind = fencing.ErrTimeout
	}
	return fmt.Errorf("%w: %s: %s", kind, cmd.Name, said(cmd, code))
}

func said(cmd types.Command, code types.CompletionCode) string {
	return fmt.Sprintf("completion code %02Xh (%s)", uint8(code), types.StrCC(cmd, uint8(code)))
}
