package storage

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"bascule/ha"
	"bascule/ha/pve"
)

// cephEvery is the pause between two questions to a cluster's monitors: the ceph command costs a second of CPU.
const cephEvery = time.Minute

// cephHealth is what the monitors said last.
type cephHealth struct {
	at    time.Time
	notes []string
}

// rbd lists a pool as `rbd ls` does: it takes the monitors, and an OSD that reads an object of that pool.
func (l *Looker) rbd(ctx context.Context, p ha.StoragePlace) ha.StorageLook {
	argv := append(l.cephArgs("rbd", p), "ls", l.pool(p))
	r := l.run(ctx, p.Name, argv, nil)
	if out, bad := r.failed(); bad {
		return out
	}
	if r.end != nil {
		return ha.StorageLook{Problem: "rbd ls: " + r.words()}
	}
	return ha.StorageLook{Notes: l.cephNotes(ctx, p)}
}

func (l *Looker) pool(p ha.StoragePlace) string {
	pool := p.Pool
	if pool == "" {
		pool = "rbd" // as Proxmox has it
	}
	if p.Namespace != "" {
		pool += "/" + p.Namespace
	}
	return pool
}

// cephArgs is how Proxmox itself calls the tools for a storage: the nodes' own cluster, or the monitors of another one.
func (l *Looker) cephArgs(tool string, p ha.StoragePlace) []string {
	argv := []string{tool}
	if p.Monitors != "" {
		argv = append(argv, "-m", strings.Join(pve.List(p.Monitors), ","))
	} else {
		argv = append(argv, "-c", filepath.Join(l.cfg.Etc, "ceph.conf"))
	}
	if conf := filepath.Join(l.cfg.Etc, "priv/ceph", p.Name+".conf"); p.Monitors != "" && exists(conf) {
		argv = append(argv, "-c", conf)
	}
	user := p.User
	if user == "" {
		user = "admin"
	}
	argv = append(argv, "-n", "client."+user)
	for _, suffix := range []string{".keyring", ".secret"} {
		if key := filepath.Join(l.cfg.Etc, "priv/ceph", p.Name+suffix); exists(key) {
			option := "--keyring"
			if suffix == ".secret" { // CephFS: the bare key
				option = "--keyfile"
			}
			return append(argv, option, key)
		}
	}
	if p.Monitors != "" {
		argv = append(argv, "--auth_supported", "none")
	}
	return argv
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// cephNotes are what people should know of a cluster that answers. A user who may not ask is told nothing.
func (l *Looker) cephNotes(ctx context.Context, p ha.StoragePlace) []string {
	cluster := "its own"
	if p.Monitors != "" {
		cluster = p.Monitors
	}
	l.mu.Lock()
	last := l.ceph[cluster]
	l.mu.Unlock()
	if time.Since(last.at) < cephEvery {
		return last.notes
	}
	r := l.run(ctx, "ceph "+cluster, append(l.cephArgs("ceph", p), "status", "--format", "json"), nil)
	if r.end != nil || r.late || r.notStarted != nil || !r.stuckSince.IsZero() {
		return last.notes
	}
	now := cephHealth{at: time.Now(), notes: parseCephStatus(r.out)}
	l.mu.Lock()
	l.ceph[cluster] = now
	l.mu.Unlock()
	return now.notes
}

// full are the health checks that say that a cluster fills up, and how grave that is.
var full = map[string]string{
	"OSD_FULL": "Ceph: an OSD is FULL, nothing can be written", "POOL_FULL": "Ceph: a pool is FULL, nothing can be written to it",
	"OSD_BACKFILLFULL": "Ceph: an OSD is too full to be filled from others", "OSD_NEARFULL": "Ceph: an OSD is nearly full",
	"POOL_NEAR_FULL": "Ceph: a pool is nearly full", "POOL_NEARFULL": "Ceph: a pool is nearly full",
}

// parseCephStatus reads `ceph status --format json`. Its words are chosen so that they change only when the condition does.
func parseCephStatus(data []byte) []string {
	var s struct {
		Health struct {
			Checks map[string]struct {
				Summary struct {
					Message string `json:"message"`
				} `json:"summary"`
			} `json:"checks"`
		} `json:"health"`
		Quorum []string `json:"quorum_names"`
		Monmap struct {
			Num  int `json:"num_mons"`
			Mons []struct {
				Name string `json:"name"`
			} `json:"mons"`
		} `json:"monmap"`
	}
	if json.Unmarshal(data, &s) != nil {
		return nil
	}
	var notes []string
	if all := max(s.Monmap.Num, len(s.Monmap.Mons)); len(s.Quorum) > 0 && len(s.Quorum) < all {
		notes = append(notes, fmt.Sprintf("Ceph: %d of %d monitors answer (%s)", len(s.Quorum), all, strings.Join(s.Quorum, ", ")))
	}
	for name, text := range full {
		if _, on := s.Health.Checks[name]; on && !slices.Contains(notes, text) {
			notes = append(notes, text)
		}
	}
	if slices.Contains(strings.FieldsFunc(s.Health.Checks["OSDMAP_FLAGS"].Summary.Message, func(c rune) bool { return strings.ContainsRune(" ,", c) }), "noout") {
		notes = append(notes, "Ceph: the flag noout is set: data of OSDs that are gone is not rebuilt")
	}
	slices.Sort(notes)
	return notes
}
