package api

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// SocketMode is the unix socket's: its owner and group may talk to it.
const SocketMode fs.FileMode = 0o660

// ListenUnix binds the API's socket. A socket left behind by a dead daemon is replaced; one that answers is not: then
// another basculed runs here and the error says so. The socket appears under its name only with its final mode.
func ListenUnix(path string) (net.Listener, error) {
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		c.Close()
		return nil, fmt.Errorf("listen on %s: a daemon answers there already: stop it first (systemctl stop basculed)", path)
	}
	temp := path + ".n"
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: temp, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w (does the directory exist, is the path under 106 bytes?)", path, err)
	}
	l.SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(temp, SocketMode), os.Rename(temp, path)); err != nil {
		l.Close()
		os.Remove(temp)
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	info, err := os.Lstat(path)
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	return &unixListener{UnixListener: l, path: path, made: info}, nil
}

// unixListener removes its socket when closed, unless a newer daemon has put its own in the place.
type unixListener struct {
	*net.UnixListener
	path string
	made fs.FileInfo
}

func (l *unixListener) Close() error {
	if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.made) {
		os.Remove(l.path)
	}
	return l.UnixListener.Close()
}

// ListenTLS binds the API's TCP address. cfg is ServerTLS's.
func ListenTLS(addr string, cfg *tls.Config) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("API on %s: %w", addr, err)
	}
	return tls.NewListener(l, cfg), nil
}

// ServerTLS demands a certificate of the cluster's authority from every caller. Files are PEM; the server's
// certificate names the addresses that hactl is given. The key's file must not be readable by others.
func ServerTLS(caFile, certFile, keyFile string) (*tls.Config, error) {
	pool, cert, err := loadTLS(caFile, certFile, keyFile)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		Certificates: []tls.Certificate{cert}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
		MinVersion: tls.VersionTLS13,
	}, nil
}

func loadTLS(caFile, certFile, keyFile string) (*x509.CertPool, tls.Certificate, error) {
	var none tls.Certificate
	ca, err := os.ReadFile(caFile)
	if err != nil {
		return nil, none, fmt.Errorf("cluster authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, none, fmt.Errorf("cluster authority %s holds no PEM certificate", caFile)
	}
	info, err := os.Stat(keyFile)
	if err != nil {
		return nil, none, fmt.Errorf("TLS key: %w", err)
	}
	if info.Mode().Perm()&0o007 != 0 {
		return nil, none, fmt.Errorf("TLS key %s can be read by everybody (mode %v): chmod 600 %s", keyFile, info.Mode().Perm(), keyFile)
	}
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, none, fmt.Errorf("TLS certificate %s with key %s: %w", certFile, keyFile, err)
	}
	return pool, cert, nil
}

type peerKey struct{}

// peerOf is the server's ConnContext: it keeps who is at the other end of a unix socket.
func peerOf(ctx context.Context, c net.Conn) context.Context {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return ctx
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return ctx
	}
	var cred *unix.Ucred
	if cerr := raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); cerr != nil || err != nil {
		return ctx
	}
	return context.WithValue(ctx, peerKey{}, cred.Uid)
}
