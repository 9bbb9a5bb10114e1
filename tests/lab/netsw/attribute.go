package netsw

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// errGone says that the client's socket has no owner any more: it closed, or was killed, before it could be looked up.
var errGone = errors.New("the socket has no owner any more")

// attribute names the node that opened a connection, or outsider. The bind address says it at once; otherwise the
// kernel leads from the connection's two ends to the client's socket, and Owner from the socket to the process.
func (s *Switch) attribute(client, server netip.AddrPort) (string, error) {
	if node, ok := s.byIP[client.Addr()]; ok {
		return node, nil
	}
	inode, err := socketInode(client, server)
	if err != nil {
		return outsider, err
	}
	return s.opt.Owner(inode), nil
}

// Sizes and offsets of the kernel's sock_diag(7) messages for IPv4: what /proc/net/tcp would show of one socket, without writing down
// all the others, of which a big lab has thousands.
const (
	diagRequest = unix.NLMSG_HDRLEN + 8 + diagSocket
	diagSocket  = 48                                      // struct inet_diag_sockid
	diagInode   = unix.NLMSG_HDRLEN + 4 + diagSocket + 16 // struct inet_diag_msg.idiag_inode
	anyCookie   = 0xffffffff                              // INET_DIAG_NOCOOKIE
)

// socketInode finds the inode of the socket whose own end is local and whose other end is remote.
func socketInode(local, remote netip.AddrPort) (uint64, error) {
	inode, err := askKernel(local, remote)
	if errors.Is(err, unix.ENOENT) || err == nil && inode == 0 {
		return 0, errGone
	}
	if err != nil {
		return 0, fmt.Errorf("cannot tell who opened the connection from %s: sock_diag: %w; the kernel needs its module tcp_diag", local, err)
	}
	return inode, nil
}

func askKernel(local, remote netip.AddrPort) (inode uint64, err error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, diagQuestion(local, remote), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, err
	}
	answer := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err != nil {
		return 0, err
	}
	answer = answer[:n]
	if n >= unix.NLMSG_HDRLEN+4 && binary.NativeEndian.Uint16(answer[4:]) == unix.NLMSG_ERROR {
		return 0, unix.Errno(-int32(binary.NativeEndian.Uint32(answer[unix.NLMSG_HDRLEN:])))
	}
	if n < diagInode+4 {
		return 0, fmt.Errorf("an answer of %d bytes", n)
	}
	return uint64(binary.NativeEndian.Uint32(answer[diagInode:])), nil
}

// diagQuestion asks for exactly one socket.
func diagQuestion(local, remote netip.AddrPort) []byte {
	q := make([]byte, diagRequest)
	binary.NativeEndian.PutUint32(q, diagRequest)
	binary.NativeEndian.PutUint16(q[4:], unix.SOCK_DIAG_BY_FAMILY)
	binary.NativeEndian.PutUint16(q[6:], unix.NLM_F_REQUEST)
	ask := q[unix.NLMSG_HDRLEN:]
	ask[0], ask[1] = unix.AF_INET, unix.IPPROTO_TCP
	binary.NativeEndian.PutUint32(ask[4:], 0xffffffff) // in any state
	id := ask[8:]
	binary.BigEndian.PutUint16(id, local.Port())
	binary.BigEndian.PutUint16(id[2:], remote.Port())
	from, to := local.Addr().Unmap().As4(), remote.Addr().Unmap().As4()
	copy(id[4:], from[:])
	copy(id[20:], to[:])
	binary.NativeEndian.PutUint32(id[40:], anyCookie)
	binary.NativeEndian.PutUint32(id[44:], anyCookie)
	return q
}
