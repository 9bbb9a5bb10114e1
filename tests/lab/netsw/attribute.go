package netsw

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
)

// errGone says that the client's socket has no owner any more: it closed, or was killed, before it could be looked up.
var errGone = errors.New("the socket has no owner any more")

// attribute names the node that opened a connection, or outsider. The bind address says it at once; otherwise the
// kernel's socket table leads from the client's port to the socket, and Owner from the socket to the process.
func (s *Switch) attribute(client, server netip.AddrPort) (string, error) {
	if node, ok := s.byIP[client.Addr()]; ok {
		return node, nil
	}
	inode, err := socketInode("/proc/net/tcp", client, server)
	if err != nil {
		return outsider, err
	}
	return s.opt.Owner(inode), nil
}

// socketInode finds the inode of the socket whose own end is local and whose other end is remote.
func socketInode(table string, local, remote netip.AddrPort) (uint64, error) {
	data, err := os.ReadFile(table)
	if err != nil {
		return 0, fmt.Errorf("cannot tell who opened the connection from %s: %w", local, err)
	}
	wantLocal, wantRemote := procAddr(local), procAddr(remote)
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		// sl local rem st tx:rx tr:when retrnsmt uid timeout inode …
		f := bytes.Fields(lines.Bytes())
		if len(f) < 10 || string(f[1]) != wantLocal || string(f[2]) != wantRemote {
			continue
		}
		inode, err := strconv.ParseUint(string(f[9]), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("cannot tell who opened the connection from %s: inode %q: %w", local, f[9], err)
		}
		if inode == 0 {
			return 0, errGone
		}
		return inode, nil
	}
	return 0, errGone
}

// procAddr writes an address as /proc/net/tcp does: the four bytes as one number of this machine's byte order,
// then the port, in hexadecimal.
func procAddr(a netip.AddrPort) string {
	ip := a.Addr().Unmap().As4()
	return fmt.Sprintf("%08X:%04X", binary.NativeEndian.Uint32(ip[:]), a.Port())
}
