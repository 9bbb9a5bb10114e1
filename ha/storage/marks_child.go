package storage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"bascule/ha"
)

const (
	markPrefix = "look-"
	// maxMarks bounds how many marks of a storage are read: more than a cluster has nodes, and a former cluster's beside them.
	maxMarks = 128
)

// markText is the content of a mark's file: a line for people who find it, then the mark.
func markText(m *Mark) []byte {
	line, _ := json.Marshal(m) // of texts and numbers: it cannot fail
	return append(append([]byte("Bascule looks whether this storage can be written to.\n"), line...), '\n')
}

// parseMark reads what markText wrote for a node.
func parseMark(text []byte, node ha.NodeName) Mark {
	_, line, _ := bytes.Cut(text, []byte("\n"))
	var m Mark
	if err := json.Unmarshal(line, &m); err != nil || m.Node != node || m.Life == "" {
		return Mark{Node: node, Unread: "it holds no mark: it is just being written, or was written by an older basculed"}
	}
	m.Unread = ""
	return m
}

// list reads the marks on a storage.
func (a *answer) list(o order) error {
	if o.Mount != "" && !mounted(o.Mount) {
		return fmt.Errorf("%s is not mounted", o.Mount)
	}
	if _, err := os.Stat(o.Path); errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s: %w", o.Path, errHidden)
	} else if err != nil {
		return err
	}
	dir, err := os.Open(filepath.Join(o.Path, ownDir))
	if errors.Is(err, os.ErrNotExist) { // nobody has written here
		return nil
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	entries, err := dir.ReadDir(-1)
	if err != nil {
		return err
	}
	slices.SortFunc(entries, func(a, b os.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for _, e := range entries {
		node, ok := strings.CutPrefix(e.Name(), markPrefix)
		if !ok {
			continue
		}
		if len(a.Marks) == maxMarks { // what is missing among them says nothing
			return fmt.Errorf("more than %d marks in %s: remove those of nodes that are gone", maxMarks, dir.Name())
		}
		m := Mark{Node: ha.NodeName(node)}
		if text, err := readSmall(filepath.Join(dir.Name(), e.Name())); errors.Is(err, os.ErrNotExist) {
			continue
		} else if err != nil {
			m.Unread = reason(err)
		} else {
			m = parseMark(text, m.Node)
		}
		a.Marks = append(a.Marks, m)
	}
	return nil
}

// errNoFile: something else stands in the place of a mark. Opening it may wait for ever.
var errNoFile = errors.New("it is no file")

// readSmall reads a file's first block, past the cache where that is possible.
func readSmall(name string) ([]byte, error) {
	const flags = unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Open(name, flags|unix.O_DIRECT, 0)
	if errors.Is(err, unix.EINVAL) { // a file system without direct reads
		fd, err = unix.Open(name, flags, 0)
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, &os.PathError{Op: "stat", Path: name, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, errNoFile
	}
	buf := aligned()
	n, err := unix.Pread(fd, buf, 0)
	if err != nil {
		return nil, &os.PathError{Op: "read", Path: name, Err: err}
	}
	return buf[:n], nil
}
