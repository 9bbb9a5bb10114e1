package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"

	"github.com/google/renameio/v2"

	"bascule/ha"
	"bascule/ha/node"
)

// onbootSchema is the version of the file of an onbootCopy.
const onbootSchema = 1

type onbootFile struct {
	Schema int          `json:"schema"`
	Guests []keptOnboot `json:"guests"`
}

// keptOnboot is a guest whose onboot was 1 before it was protected.
type keptOnboot struct {
	Guest ha.VMID  `json:"guest"`
	Epoch ha.Epoch `json:"epoch"` // of the store that had a note of it last
}

// onbootCopy is this node's own copy of the store's notes about onboot (ha.OnbootRecord), of all guests wherever they are: when Bascule is
// removed from the node, onboot is put back without the store. A note that is gone from the store is dropped only in the epoch in which
// the store had it: a store that was restored may have lost it.
type onbootCopy struct {
	file string        // empty: none is kept
	wake chan struct{} // there is something to write

	mu     sync.Mutex
	guests map[ha.VMID]ha.Epoch
	after  int64 // what the store showed before this revision lacks the newest note

	writing sync.Mutex // an older state never overwrites a newer one
	onFile  []byte
}

// openOnbootCopy goes on with what is in the file. One that cannot be read is begun anew from the store; the error says so.
func openOnbootCopy(file string) (*onbootCopy, error) {
	c := &onbootCopy{file: file, wake: make(chan struct{}, 1), guests: map[ha.VMID]ha.Epoch{}}
	if file == "" {
		return c, nil
	}
	f, err := readOnboot(file)
	for _, g := range f.Guests {
		c.guests[g.Guest] = g.Epoch
	}
	return c, err
}

// note adds a guest, on disk, before its onboot is taken away. rev is the store's revision that has the note.
func (c *onbootCopy) note(id ha.VMID, epoch ha.Epoch, rev int64) error {
	c.mu.Lock()
	c.guests[id], c.after = epoch, max(c.after, rev)
	c.mu.Unlock()
	return c.write()
}

// follow takes over what the store has. It does not wait for the disk.
func (c *onbootCopy) follow(s node.State) {
	if !s.Synced || s.Epoch.WentBack {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.Epoch.Rev < c.after {
		return
	}
	changed := false
	for id := range s.Onboot {
		if epoch, has := c.guests[id]; !has || epoch != s.Epoch.Known {
			c.guests[id], changed = s.Epoch.Known, true
		}
	}
	for id, epoch := range c.guests {
		if _, has := s.Onboot[id]; !has && epoch == s.Epoch.Known {
			delete(c.guests, id)
			changed = true
		}
	}
	if changed {
		poke(c.wake)
	}
}

func (c *onbootCopy) write() error {
	if c.file == "" {
		return nil
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	var f onbootFile
	c.mu.Lock()
	for id, epoch := range c.guests {
		f.Guests = append(f.Guests, keptOnboot{id, epoch})
	}
	c.mu.Unlock()
	data := encodeOnboot(f)
	if bytes.Equal(data, c.onFile) {
		return nil
	}
	if err := renameio.WriteFile(c.file, data, 0o600); err != nil {
		return err
	}
	c.onFile = data
	return nil
}

// onbootLoop writes what follow changed.
func (a *Agent) onbootLoop(ctx context.Context) error {
	for {
		select {
		case <-a.onboot.wake:
			a.onbootProblem(a.onboot.write())
		case <-ctx.Done():
			return nil
		}
	}
}

func (a *Agent) onbootProblem(err error) {
	text := ""
	if err != nil {
		text = fmt.Sprintf("this node's own list of guests that Proxmox started at boot cannot be kept (%v); without it, removing Bascule from here would not put that back: make room in its data directory", err)
	}
	a.Problem("onboot copy", text)
}

func encodeOnboot(f onbootFile) []byte {
	f.Schema = onbootSchema
	slices.SortFunc(f.Guests, func(a, b keptOnboot) int { return int(a.Guest) - int(b.Guest) })
	return append(ha.Encode(f), '\n')
}

// readOnboot reads a file; one that is not there has no guests.
func readOnboot(file string) (onbootFile, error) {
	var f onbootFile
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &f)
	}
	if err == nil && f.Schema > onbootSchema {
		err = fmt.Errorf("schema %d is of a newer version, this one knows %d", f.Schema, onbootSchema)
	}
	if err != nil {
		return onbootFile{}, fmt.Errorf("the list of guests that Proxmox started at boot, %s, cannot be read: %w", file, err)
	}
	return f, nil
}

// OnbootKept returns the guests in a node's own copy, ascending: their onboot was 1 before they were protected.
func OnbootKept(file string) ([]ha.VMID, error) {
	f, err := readOnboot(file)
	var ids []ha.VMID
	for _, g := range f.Guests {
		ids = append(ids, g.Guest)
	}
	slices.Sort(ids)
	return ids, err
}

// ForgetOnboot drops guests from a node's own copy, whose onboot is put back. No agent may run on the node.
func ForgetOnboot(file string, ids []ha.VMID) error {
	f, err := readOnboot(file)
	if err != nil || len(ids) == 0 {
		return err
	}
	f.Guests = slices.DeleteFunc(f.Guests, func(g keptOnboot) bool { return slices.Contains(ids, g.Guest) })
	return renameio.WriteFile(file, encodeOnboot(f), 0o600)
}
