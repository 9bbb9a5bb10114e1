package scsipr

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"

	"github.com/google/renameio/v2"

	"bascule/fencing"
	"bascule/ha"
)

// state is what a node remembers of its key, for as long as it is booted: the file lies where a reboot forgets it.
type state struct {
	Node   ha.NodeName    `json:"node"`
	Boot   ha.Incarnation `json:"boot"`
	Key    Key            `json:"key"`
	LUNs   []string       `json:"luns"`   // units at which the key was registered, by their own name where they have one
	Fenced string         `json:"fenced"` // why the key must not be registered any more
}

// MarshalText writes the key as digits: as a number, other readers of JSON would round it.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads digits.
func (k *Key) UnmarshalText(b []byte) error {
	n, err := strconv.ParseUint(string(b), 16, 64)
	*k = Key(n)
	return err
}

// loadState reads the file; a missing one is the empty state.
func loadState(file string) (st state, err error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return state{}, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &st)
	}
	if err != nil {
		return state{}, fmt.Errorf("%w: this node's record of its key: %w", fencing.ErrSettings, err)
	}
	return st, nil
}

// ownState is the state of a node that may speak at its LUNs.
func ownState(file string) (state, error) {
	st, err := loadState(file)
	switch {
	case err != nil:
		return state{}, err
	case st.Key == 0 || len(st.LUNs) == 0:
		return state{}, fmt.Errorf("%w: this node has not registered a key of its own yet (%s): its basculed does so when the LUNs are there", fencing.ErrSettings, file)
	case st.Fenced != "":
		return state{}, fmt.Errorf("%w: this node was fenced itself (%s): another one has to fence", fencing.ErrRefused, st.Fenced)
	}
	return st, nil
}

// save writes the file. It is on its way to the disk of a machine that may be fenced next, but not across a reboot: no sync.
func (st state) save(file string) error {
	b, err := json.Marshal(st)
	if err == nil {
		err = renameio.WriteFile(file, append(b, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("%w: this node's record of its key cannot be written: %w", fencing.ErrHelper, err)
	}
	return nil
}

func (st state) knows(unit string) bool { return slices.Contains(st.LUNs, unit) }
