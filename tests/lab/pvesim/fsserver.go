package pvesim

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
)

// fsServer is a node's pmxcfs.sock: the lab's /etc/pve. One POST is one operation; the answer is always 200 and
// carries an errno. A call that is waiting when the node loses power gets no answer.
type fsServer struct {
	c *Cluster
	n *node
}

type fsRequest struct {
	Op   string `json:"op"`
	Path string `json:"path"`
	To   string `json:"to"`
	Data string `json:"data"`
	// NoReplace is renameat2's RENAME_NOREPLACE.
	NoReplace bool   `json:"no_replace"`
	Mode      uint32 `json:"mode"`  // of chmod
	Owner     string `json:"owner"` // of chown, "user:group"
	Time      int64  `json:"time"`  // of utime, seconds since 1970
	Size      int64  `json:"size"`  // of truncate
}

type fsAnswer struct {
	Errno errno    `json:"errno"`
	Data  string   `json:"data,omitempty"`
	Names []string `json:"names,omitempty"`
	Dir   bool     `json:"dir"`
	Size  int64    `json:"size"`
	Mtime int64    `json:"mtime"`
	Mode  uint32   `json:"mode"` // permission bits
}

// ServeHTTP carries out one operation.
func (s *fsServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var q fsRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<20)).Decode(&q); err != nil {
		http.Error(w, "pmxcfs.sock takes one JSON operation per POST: "+err.Error(), http.StatusBadRequest)
		return
	}
	ctx := r.Context()
	var a fsAnswer
	switch q.Op {
	case "read":
		data, e := s.c.fsRead(s.n, q.Path)
		a.Errno, a.Data, a.Size = e, base64.StdEncoding.EncodeToString(data), int64(len(data))
	case "readdir":
		a.Names, a.Errno = s.c.fsList(s.n, q.Path)
		a.Dir = a.Errno == success
	case "stat":
		info, e := s.c.fsStat(s.n, q.Path)
		a.Errno = e
		if e == success {
			a.Dir, a.Size, a.Mtime, a.Mode = info.dir, info.size, info.mtime.UnixNano(), info.mode
		}
	case "write":
		data, err := base64.StdEncoding.DecodeString(q.Data)
		if err != nil {
			http.Error(w, "write: data is not base64: "+err.Error(), http.StatusBadRequest)
			return
		}
		a.Errno = s.c.fsWrite(ctx, s.n, q.Path, data)
	case "rename":
		a.Errno = eINVAL // pmxcfs knows no flags, whether the target exists or not
		if !q.NoReplace {
			a.Errno = s.c.fsRename(ctx, s.n, q.Path, q.To)
		}
	case "create":
		a.Errno = s.c.fsCreate(ctx, s.n, q.Path)
	case "open", "access", "truncate", "chmod", "chown", "utime", "symlink", "link", "setxattr":
		a.Errno = s.c.fsAttr(ctx, s.n, q)
	case "unlink":
		a.Errno = s.c.fsRemove(ctx, s.n, q.Path, false)
	case "rmdir":
		a.Errno = s.c.fsRemove(ctx, s.n, q.Path, true)
	case "mkdir":
		a.Errno = s.c.fsMkdir(ctx, s.n, q.Path)
	default:
		http.Error(w, "unknown operation "+q.Op, http.StatusBadRequest)
		return
	}
	if a.Errno == eDOWN {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(a) // fails only when the client has gone
}
