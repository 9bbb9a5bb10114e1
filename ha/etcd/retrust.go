package etcd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"bascule/ha"
)

// etcd reads the authorities that it trusts once, when its member starts, and offers no way to exchange them under way (its own
// certificate it reads at each handshake). So another authority costs a restart of the member. Not of the daemon: it goes on over the
// other members, with its lease, its permit and its guests.

const (
	retrustStop  = 20 * time.Second // the end of a member: its clients' watches are given some seconds to go elsewhere
	retrustLimit = 80 * time.Second // the whole of it, until the member votes again
)

// trusted is the copy of the CA file that this node's member is started with. The file itself may change between the several times that
// etcd reads it.
func (c Config) trusted() string { return c.DataDir + ".trusted.pem" }

// copyTrust makes the copy, for a member that starts now.
func (c Config) copyTrust() ([]byte, error) {
	ca, err := os.ReadFile(c.TLS.CAFile)
	if err != nil {
		return nil, fmt.Errorf("%w: CA: %w", ErrConfig, err)
	}
	if err := os.MkdirAll(filepath.Dir(c.trusted()), 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(c.trusted()+".new", ca, 0o600); err != nil {
		return nil, err
	}
	return ca, os.Rename(c.trusted()+".new", c.trusted())
}

// Trusts are the authorities (PEM) that this node's running member was started with; nil where none runs here.
func (s *Store) Trusts() []byte {
	sv := s.server.Load()
	if sv == nil || sv.down.Load() != nil {
		return nil
	}
	return sv.trusts
}

// Retrust lets this node's member take up a CA file that has changed, and returns when it votes with it, later than ctx if need be. It does
// nothing where none runs, or none needs to. The member is restarted for it: raft's leadership is handed over first, connections to it are
// made again, leases and watches go on at the others. It refuses, with ha.ErrUnavailable, while the store would not stand without this
// member. Of one or two voters there is no standing without: the store pauses for a second or two, as in any restart, and guests run on.
func (s *Store) Retrust(ctx context.Context) error {
	s.member.Lock()
	defer s.member.Unlock()
	sv := s.server.Load()
	ca, err := os.ReadFile(s.cfg.TLS.CAFile)
	switch {
	case s.ctx.Err() != nil:
		return fmt.Errorf("%w: basculed is being stopped", ha.ErrUnavailable)
	case s.Trusts() == nil:
		return nil // it reads the file when it starts
	case err != nil:
		return fmt.Errorf("%w: CA: %w", ErrConfig, err)
	case bytes.Equal(ca, sv.trusts):
		return nil
	}
	if err := s.dispensable(ctx); err != nil {
		return err
	}
	// Half done it would be a voter less: from here on only Close, which waits for the lock, ends it early, not who has asked for it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), retrustLimit)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	stop, end := context.WithTimeout(ctx, retrustStop)
	err = sv.close(stop)
	end()
	if err != nil {
		s.cfg.Log.WithError(err).Debug("the etcd member takes its time to end; the new one waits for it")
	}
	for {
		err := s.startMember(ctx, nil, admitForm) // it has its data: nothing is formed
		if err == nil {
			break
		}
		if !pause(ctx, admitEvery) {
			why := err.Error()
			sv.down.Store(&why) // so that it is told, and looked after as any member that has stopped
			return fmt.Errorf("this node's etcd member did not start again with the other authority: %w: restart basculed here", err)
		}
	}
	return s.votesAgain(ctx)
}

// dispensable says whether the store stands for a while without this node's member.
func (s *Store) dispensable(ctx context.Context) error {
	list, err := s.Members(ctx)
	if err != nil {
		return err
	}
	voters, others, missing := 0, 0, ""
	for _, m := range list {
		if m.Learner {
			continue
		}
		voters++
		if m.Node == s.cfg.Self {
			continue
		}
		others += rank(m.Answers)
		if !m.Answers {
			missing += " " + string(m.label())
		}
	}
	if voters > 2 && others < voters/2+1 || voters == 2 && others == 0 {
		return fmt.Errorf("%w: without this node's member the store would stop: of the other voters these do not answer:%s", ha.ErrUnavailable, missing)
	}
	return nil
}

// votesAgain waits until this node's member follows a leader and answers its clients.
func (s *Store) votesAgain(ctx context.Context) error {
	for {
		err := errors.New("it does not run")
		if sv := s.server.Load(); sv != nil {
			own, _, problem := sv.state()
			if err = problem; own == "follower" || own == "leader" {
				if e := s.pool.byName(s.cfg.Self); e != nil {
					try, cancel := context.WithTimeout(ctx, s.cfg.callLimit())
					m := e.status(try)
					cancel()
					if m.Answers {
						return nil
					}
					err = errors.New(m.Problem)
				}
			}
		}
		if !pause(ctx, retryPause) {
			return fmt.Errorf("this node's etcd member was restarted and does not vote yet: %w", errors.Join(ha.ErrUnavailable, err))
		}
	}
}
