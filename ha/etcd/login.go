package etcd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// login holds one endpoint's session with an etcd that wants a user. etcd's own client logs in while it is made, and so cannot be
// made while nobody answers; this one logs in with the first call, and again when the store has forgotten the session.
type login struct {
	user, file string
	turn       chan struct{} // held by who logs in, or looks
	token      string
	refused    error     // the last refusal: it costs the server a slow hash each time, so that it is believed for a while
	until      time.Time // how long
}

// refusalHolds is how long a refused login is not tried again.
const refusalHolds = 2 * time.Second

// newLogin returns nil when no user is configured.
func newLogin(x *External) *login {
	if x == nil || x.User == "" {
		return nil
	}
	return &login{user: x.User, file: x.PasswordFile, turn: make(chan struct{}, 1)}
}

// errLogin is wrapped when name or password are refused, or the password cannot be read.
var errLogin = errors.New("cannot log in to etcd")

// current returns the session's token and logs in when there is none.
func (l *login) current(ctx context.Context, conn *grpc.ClientConn) (string, error) {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	switch {
	case l.token != "":
		return l.token, nil
	case time.Now().Before(l.until):
		return "", l.refused
	}
	var err error
	if l.token, err = l.ask(ctx, conn); errors.Is(err, errLogin) {
		l.refused, l.until = err, time.Now().Add(refusalHolds)
	}
	return l.token, err
}

// ask logs in.
func (l *login) ask(ctx context.Context, conn *grpc.ClientConn) (string, error) {
	password, err := readPassword(l.file)
	if err != nil {
		return "", fmt.Errorf("%w as %s: %w", errLogin, l.user, err)
	}
	resp, err := pb.NewAuthClient(conn).Authenticate(ctx, &pb.AuthenticateRequest{Name: l.user, Password: password})
	if e, ok := etcdError(err); ok && e.Error() == rpctypes.ErrAuthFailed.Error() {
		return "", fmt.Errorf("%w as %s: %w: check etcd.user and what %s holds", errLogin, l.user, err, l.file)
	} else if ok && e.Error() == rpctypes.ErrAuthNotEnabled.Error() {
		return "", fmt.Errorf("%w as %s: %w: enable it there (etcdctl auth enable), or remove etcd.user", errLogin, l.user, err)
	}
	if err != nil {
		return "", err
	}
	return resp.Token, nil
}

// drop forgets a token that the store no longer knows.
func (l *login) drop(token string) {
	l.turn <- struct{}{}
	if l.token == token {
		l.token = ""
	}
	<-l.turn
}

// sessionOver says whether a call was refused, unexecuted, because the session is unknown or older than a change of users and roles.
func sessionOver(err error) bool {
	e, ok := etcdError(err)
	if !ok {
		return false
	}
	switch e.Error() {
	case rpctypes.ErrInvalidAuthToken.Error(), rpctypes.ErrAuthOldRevision.Error(), rpctypes.ErrUserEmpty.Error():
		return true
	}
	return false
}

// loginMethod is the one call that needs no session.
const loginMethod = "/etcdserverpb.Auth/Authenticate"

// unary gives every call the session, and a call that was refused for want of one a new session, once.
func (l *login) unary(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if method == loginMethod {
		return invoke(ctx, method, req, reply, conn, opts...)
	}
	for again := false; ; again = true {
		token, err := l.current(ctx, conn)
		if err != nil {
			return err
		}
		err = invoke(withToken(ctx, token), method, req, reply, conn, opts...)
		if !sessionOver(err) {
			return err
		}
		l.drop(token)
		if again {
			return err
		}
	}
}

// stream gives a stream the session; when the store refuses it in the stream, the next one logs in anew.
func (l *login) stream(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	token, err := l.current(ctx, conn)
	if err != nil {
		return nil, err
	}
	s, err := open(withToken(ctx, token), desc, conn, method, opts...)
	if err != nil {
		return nil, err
	}
	return sessionStream{s, l, token}, nil
}

type sessionStream struct {
	grpc.ClientStream
	login *login
	token string
}

// RecvMsg notices the end of the session.
func (s sessionStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if sessionOver(err) {
		s.login.drop(s.token)
	}
	return err
}

func withToken(ctx context.Context, token string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, rpctypes.TokenFieldNameGRPC, token)
}

// maxPassword bounds the file, in bytes.
const maxPassword = 4 << 10

// readPassword reads the one-line file, which nobody but its owner and a group that reads may touch. Errors hold nothing of it.
func readPassword(file string) (string, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a named pipe must not keep us
	if err != nil {
		return "", fmt.Errorf("password file: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("password file %s: %w", file, err)
	}
	if !st.Mode().IsRegular() {
		return "", fmt.Errorf("password file %s is not a regular file: write the password into one", file)
	}
	if st.Mode().Perm()&0o027 != 0 {
		return "", fmt.Errorf("password file %s can be reached by other users (mode %04o): run chmod 600 %s, and change the password if somebody may have seen it", file, st.Mode().Perm(), file)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxPassword+1))
	if err != nil {
		return "", fmt.Errorf("password file %s: %w", file, err)
	}
	p := strings.TrimRight(string(b), "\r\n")
	if p == "" || len(b) > maxPassword || strings.ContainsAny(p, "\r\n") {
		return "", fmt.Errorf("password file %s must hold the password on one line and nothing else", file)
	}
	return p, nil
}
