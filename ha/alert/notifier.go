package alert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"bascule/ha"
)

// queueSize is how many messages wait for each receiver: a node with that many guests may die at once.
const queueSize = 512

// Config says whom to tell. With neither a command nor a webhook, events are dropped silently.
type Config struct {
	Cluster    string
	Command    []string      // argv; the program's path is absolute
	WebhookURL Secret        // from ReadWebhookURL
	Timeout    time.Duration // of one run of the command and of one post; 0: 10 s
	Log        logrus.FieldLogger

	// Sleep waits between two attempts at the webhook; nil: really. It returns early with ctx's error.
	Sleep func(ctx context.Context, d time.Duration) error
	// HTTP posts to the webhook; nil: a client of its own that follows no redirects.
	HTTP *http.Client
}

// ErrConfig is wrapped by New's errors.
var ErrConfig = errors.New("alert configuration")

// receiver is one way to tell people. deliver returns when the message is delivered or given up (the error says why).
type receiver interface {
	name() string
	deliver(ctx context.Context, body []byte) error
}

// outlet is a receiver with its queue, so that a hanging one holds up no other.
type outlet struct {
	receiver
	queue chan []byte
}

// Notifier tells people of events. Notify may be called from everywhere; Run does the work.
type Notifier struct {
	cluster string
	log     logrus.FieldLogger
	outlets []outlet

	mu         sync.Mutex
	recovering map[ha.VMID]bool // told to be in recovery, not yet told to run again
	dropped    int64
}

// New checks the configuration. Nothing runs until Run.
func New(c Config) (*Notifier, error) {
	if c.Timeout <= 0 {
		c.Timeout = 10 * time.Second
	}
	if c.Log == nil {
		quiet := logrus.New()
		quiet.SetOutput(io.Discard)
		c.Log = quiet
	}
	if c.Sleep == nil {
		c.Sleep = sleep
	}
	n := &Notifier{cluster: c.Cluster, log: c.Log, recovering: map[ha.VMID]bool{}}
	if len(c.Command) > 0 {
		if !filepath.IsAbs(c.Command[0]) {
			return nil, fmt.Errorf("%w: the command %q has no absolute path: write it out (/usr/local/bin/…)", ErrConfig, c.Command[0])
		}
		n.add(&command{argv: c.Command, timeout: c.Timeout})
	}
	if c.WebhookURL != "" {
		w, err := newWebhook(c)
		if err != nil {
			return nil, err
		}
		n.add(w)
	}
	return n, nil
}

func (n *Notifier) add(r receiver) {
	n.outlets = append(n.outlets, outlet{r, make(chan []byte, queueSize)})
}

// Notify queues an event for every receiver if people should hear of it. It never blocks.
func (n *Notifier) Notify(e ha.Event) {
	if len(n.outlets) == 0 {
		return
	}
	kind, ok := n.kindOf(e.Transition)
	if !ok {
		return
	}
	body, err := json.Marshal(newMessage(n.cluster, kind, e))
	if err != nil { // plain data: only a changed type can cause it
		n.log.WithError(err).Error("alert: an event cannot be encoded and is not told")
		return
	}
	for _, o := range n.outlets {
		select {
		case o.queue <- body:
		default:
			n.drop(o, 1, "its queue is full: it takes too long")
		}
	}
}

// kindOf is KindOf, and guest-back for the start of a guest that was told to be down: people wait for it.
func (n *Notifier) kindOf(t ha.Transition) (Kind, bool) {
	k, ok := KindOf(t)
	if t.Guest == 0 {
		return k, ok
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	switch ha.GuestState(t.To) {
	case ha.GuestRecovery:
		n.recovering[t.Guest] = true
	case ha.GuestStarted:
		if n.recovering[t.Guest] && !ok {
			k, ok = guestBack, true
		}
		delete(n.recovering, t.Guest)
	case ha.GuestStopped, ha.GuestError, ha.GuestUnprotected:
		delete(n.recovering, t.Guest)
	}
	return k, ok
}

// Dropped counts messages that no receiver got because of a full queue or the end of Run.
func (n *Notifier) Dropped() int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dropped
}

func (n *Notifier) drop(o outlet, count int64, why string) {
	n.mu.Lock()
	n.dropped += count
	total := n.dropped
	n.mu.Unlock()
	n.log.WithFields(logrus.Fields{"receiver": o.name(), "dropped": count, "total": total}).Warn("alert: messages dropped: " + why)
}

// Run delivers until ctx ends; what is queued then is dropped, counted and logged. Call it once.
func (n *Notifier) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, o := range n.outlets {
		wg.Go(func() { n.work(ctx, o) })
	}
	wg.Wait()
}

func (n *Notifier) work(ctx context.Context, o outlet) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case body := <-o.queue:
			if err := o.deliver(ctx, body); err != nil {
				n.log.WithField("receiver", o.name()).WithError(err).Error("alert not delivered: see the alert section of basculed.yaml")
			}
		}
	}
	if left := len(o.queue); left > 0 {
		n.drop(o, int64(left), "the daemon ends")
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
