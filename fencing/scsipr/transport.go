package scsipr

import (
	"context"
	"time"
)

// reply is how a command ended.
type reply struct {
	status      byte
	data, sense []byte
}

// transport sends commands to one logical unit over one path. An error means that it is not known whether the command was
// carried out. Both calls end with their context; neither leaves anything behind that a later call would meet.
type transport interface {
	execute(ctx context.Context, cdb, out []byte, in int) (reply, error)
	close()
}

// port says as whom a path is opened.
type port struct {
	// name is the initiator's, for the initiator in user space; a path through the kernel has the kernel's.
	name string
	// steady asks for the port under which this node's key is registered; otherwise one of its own is enough, which only looks.
	steady bool
	// dir is where the steady ports' locks lie.
	dir string
}

// connector opens paths.
type connector func(ctx context.Context, p path, as port) (transport, error)

// connect is the connector in use.
func connect(ctx context.Context, p path, as port) (transport, error) {
	if p.file == "" {
		return dialPortal(ctx, p, as)
	}
	return openDevice(p.file)
}

// retryPause is the wait before a command that met a busy target is sent again.
const retryPause = 20 * time.Millisecond

// maxAttentions bounds how many unit attentions in a row are waited out: a target keeps a handful of them.
const maxAttentions = 8

// send sends one command until it is carried out or refused for good.
func send(ctx context.Context, t transport, cdb, out []byte, in int) ([]byte, error) {
	for attentions := 0; ; {
		r, err := t.execute(ctx, cdb, out, in)
		if err != nil {
			return nil, err
		}
		if r.status == statusGood {
			return r.data, nil
		}
		e := answerError{status: r.status}
		if r.status == statusCheck {
			e.sense, _ = decodeSense(r.sense)
		}
		if !e.passing() {
			return nil, e
		}
		if r.status == statusCheck {
			if attentions++; attentions > maxAttentions {
				return nil, e
			}
			continue
		}
		select {
		case <-ctx.Done():
			return nil, e
		case <-time.After(retryPause):
		}
	}
}

// tell sends a PERSISTENT RESERVE OUT.
func tell(ctx context.Context, t transport, o order) error {
	cdb, list := o.encode()
	_, err := send(ctx, t, cdb, list, 0)
	return err
}
