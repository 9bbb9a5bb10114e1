package backup

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"bascule/ha"
)

// Format is the version of the archive.
const Format = 1

// The archive's own entries. All others are files under their path without the leading slash.
const (
	manifestName = "bascule-backup/manifest.json"
	storeName    = "bascule-backup/store.db"
)

// Manifest says what an archive holds; it is its first entry.
type Manifest struct {
	Format  int         `json:"format"`
	Cluster string      `json:"cluster"`
	Node    ha.NodeName `json:"node"` // where it was made
	Taken   time.Time   `json:"taken"`
	Version string      `json:"version"` // of hactl
	Store   string      `json:"store"`   // SHA-256 of the store's copy; "" when the store is external
	Files   []string    `json:"files"`
}

// Contents is what goes into an archive.
type Contents struct {
	Manifest
	StoreFile string   // the store's copy; "" for none
	Trees     []string // files, and directories with all below them; those that do not exist are left out
}

// ErrBackup is wrapped by every refusal to write or read an archive.
var ErrBackup = errors.New("backup refused")

// Write makes the archive at path and returns its manifest. It refuses to replace a file.
func Write(path string, c Contents) (m Manifest, err error) {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return m, fmt.Errorf("%w: %s exists: write another name, or remove it", ErrBackup, path)
	}
	files, err := c.collect()
	if err != nil {
		return m, err
	}
	temp, err := os.OpenFile(path+".part", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return m, fmt.Errorf("%w: %w", ErrBackup, err)
	}
	defer os.Remove(temp.Name())
	m, err = c.write(temp, files)
	if err = errors.Join(err, temp.Chmod(0o600), temp.Sync(), temp.Close()); err != nil {
		return m, fmt.Errorf("%w: writing %s: %w", ErrBackup, path, err)
	}
	if err := os.Link(temp.Name(), path); err != nil { // unlike a rename, it replaces nothing
		return m, fmt.Errorf("%w: %w", ErrBackup, err)
	}
	return m, nil
}

// collect lists the files of all trees.
func (c Contents) collect() (files []string, err error) {
	for _, tree := range c.Trees {
		err := filepath.WalkDir(tree, func(path string, d fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil
			case err != nil:
				return err
			case d.Type().IsRegular():
				files = append(files, path)
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("%w: reading %s: %w: run it as root", ErrBackup, tree, err)
		}
	}
	return files, nil
}

func (c Contents) write(w io.Writer, files []string) (Manifest, error) {
	m := c.Manifest
	m.Format, m.Files, m.Store = Format, files, ""
	if c.StoreFile != "" {
		sum, err := checkStore(c.StoreFile)
		if err != nil {
			return m, err
		}
		m.Store = sum
	}
	z := gzip.NewWriter(w)
	t := tar.NewWriter(z)
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return m, err
	}
	if err := errors.Join(t.WriteHeader(header(manifestName, int64(len(text)), m.Taken)), writeAll(t, text)); err != nil {
		return m, err
	}
	if c.StoreFile != "" {
		if err := add(t, c.StoreFile, storeName, m.Taken); err != nil {
			return m, err
		}
	}
	for _, f := range files {
		if err := add(t, f, strings.TrimPrefix(f, "/"), m.Taken); err != nil {
			return m, err
		}
	}
	return m, errors.Join(t.Close(), z.Close())
}

func writeAll(w io.Writer, b []byte) error { _, err := w.Write(b); return err }

// header is the same for every entry: whoever unpacks the archive must not open a secret to others.
func header(name string, size int64, at time.Time) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: at}
}

func add(t *tar.Writer, file, name string, at time.Time) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := t.WriteHeader(header(name, info.Size(), at)); err != nil {
		return err
	}
	_, err = io.Copy(t, f) // a file that grew meanwhile is an error, not a longer entry
	return err
}

// checkStore says whether a copy of the store is whole, by the checksum that etcd puts at its end, and returns the SHA-256 of the file.
func checkStore(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	size := info.Size() - sha256.Size
	if size <= 0 || size%512 != 0 { // the database itself is made of pages
		return "", fmt.Errorf("%w: the copy of the store has no checksum at its end (%d bytes): take it again", ErrBackup, info.Size())
	}
	all, db := sha256.New(), sha256.New()
	if _, err := io.CopyN(io.MultiWriter(all, db), f, size); err != nil {
		return "", err
	}
	want := make([]byte, sha256.Size)
	if _, err := io.ReadFull(io.TeeReader(f, all), want); err != nil {
		return "", err
	}
	if string(db.Sum(nil)) != string(want) {
		return "", fmt.Errorf("%w: the copy of the store is damaged: its checksum is wrong: take it again, or use another backup", ErrBackup)
	}
	return hex.EncodeToString(all.Sum(nil)), nil
}

// Read returns an archive's manifest and, if it holds a copy of the store and storeFile is not "", writes that there with mode 0600. It
// refuses an archive that is damaged or of a newer format.
func Read(path, storeFile string) (Manifest, error) {
	f, err := os.Open(path)
	if err != nil {
		return Manifest{}, fmt.Errorf("%w: %w", ErrBackup, err)
	}
	defer f.Close()
	m, err := read(f, storeFile)
	if err != nil && !errors.Is(err, ErrBackup) {
		err = fmt.Errorf("%w: %s is no backup, or damaged: %w", ErrBackup, path, err)
	}
	return m, err
}

func read(r io.Reader, storeFile string) (m Manifest, err error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return m, err
	}
	t := tar.NewReader(z)
	h, err := t.Next()
	if err != nil {
		return m, err
	}
	if h.Name != manifestName {
		return m, fmt.Errorf("it does not begin with %s", manifestName)
	}
	if err := json.NewDecoder(io.LimitReader(t, 1<<20)).Decode(&m); err != nil {
		return m, err
	}
	if m.Format != Format {
		return m, fmt.Errorf("%w: it has format %d, this hactl knows %d: use the hactl that wrote it (version %s)", ErrBackup, m.Format, Format, m.Version)
	}
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			_, err := io.Copy(io.Discard, z) // to its very end, where gzip's checksum is
			return m, err
		}
		if err != nil {
			return m, err
		}
		if h.Name == storeName && storeFile != "" {
			if err := unpack(t, storeFile, m.Store); err != nil {
				return m, err
			}
		}
	}
}

func unpack(r io.Reader, path, want string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBackup, err)
	}
	_, err = io.Copy(f, r)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	sum, err := checkStore(path)
	if err == nil && sum != want {
		err = fmt.Errorf("%w: the copy of the store is not the one that the backup was made with", ErrBackup)
	}
	return err
}
