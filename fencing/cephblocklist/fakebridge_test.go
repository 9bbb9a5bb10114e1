package cephblocklist

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"bascule/fencing/fencingtest"
)

// request is any of the bridge's requests.
type request struct {
	Op, Conf, Pool string
	Commands       []map[string]any
	Objects        []string
	Options        map[string]string
}

// bridgeToFake speaks bridge.py's language.
func bridgeToFake() {
	dir := ""
	out := json.NewEncoder(os.Stdout)
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 8<<20)
	for lines.Scan() {
		var q request
		in := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		in.UseNumber()
		if err := in.Decode(&q); err != nil {
			os.Exit(2)
		}
		if q.Op == "connect" {
			dir = filepath.Dir(q.Conf)
		}
		var answer any
		var end bool
		if err := locked(dir, func(s *state) { answer, end = s.answer(q) }); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		switch {
		case end:
			fmt.Fprintln(os.Stderr, "connection lost, key was", key)
			os.Exit(1)
		case answer == nil:
			time.Sleep(time.Hour)
		}
		if text, ok := answer.(string); ok {
			fmt.Println(text)
		} else if out.Encode(answer) != nil {
			os.Exit(2)
		}
	}
}

type object = map[string]any

func fails(errno syscall.Errno, text string) object {
	return object{"error": object{"errno": int(errno), "text": text}}
}

// answer is what one request gets: nothing (it hangs), a text that is no JSON, or an object. end: the bridge dies instead.
func (s *state) answer(q request) (answer any, end bool) {
	if s.Fault == fencingtest.Rubbish {
		return "<html>" + key + "</html>", false
	}
	switch q.Op {
	case "connect":
		s.PIDs = append(s.PIDs, os.Getpid())
		s.Seen = append(s.Seen, append(slices.Clone(os.Args), os.Environ()...))
		switch s.Fault {
		case fencingtest.Unreachable:
			return fails(syscall.ETIMEDOUT, "TimedOut: error connecting to the cluster"), false
		case fencingtest.WrongPassword:
			return fails(syscall.EACCES, "PermissionDeniedError: not with "+key), false
		}
		return object{"self": s.Self}, false
	case "mon":
		if s.Fault == fencingtest.Hangs {
			return nil, false
		}
		var rs []result
		for i, c := range q.Commands {
			if i > 0 && s.Fault == fencingtest.BreaksOff && c["blocklistop"] == "add" {
				return nil, true
			}
			rs = append(rs, s.command(c, i))
		}
		return object{"results": rs}, false
	case "stat":
		return object{"rets": s.probe(q)}, false
	case "watchers":
		list := slices.DeleteFunc(slices.Clone(s.Watchers), func(w watch) bool { return !strings.HasPrefix(w.Image, q.Pool+"/") })
		if s.WatchEnds && len(list) > 0 {
			s.Watchers, s.WatchEnds = s.Watchers[:len(s.Watchers)-1], false
		}
		return object{"images": 2, "watchers": list}, false
	}
	return fails(syscall.EINVAL, "no such request"), false
}

func (s *state) probe(q request) []*int {
	ret := -int(syscall.ENOENT)
	if s.ProbeRet != nil {
		ret = *s.ProbeRet
	}
	var rets []*int
	for range q.Objects {
		rets = append(rets, &ret)
	}
	if s.Fault == fencingtest.Behind && q.Pool == s.Pools[len(s.Pools)-1].Name {
		rets[len(rets)-1] = nil
	}
	if s.Forget {
		s.Blocklist, s.Ranges = map[string]string{}, map[string]string{}
	}
	return rets
}

// command is the monitors' part.
func (s *state) command(c object, i int) result {
	prefix, _ := c["prefix"].(string)
	line, _ := json.Marshal(c)
	s.Heard = append(s.Heard, string(line))
	refuse := s.Fault == fencingtest.Refuses && prefix == "osd blocklist"
	switch {
	case refuse || slices.Contains(s.Denied, prefix):
		return result{-int(syscall.EACCES), "", "access denied"}
	case prefix == "osd dump":
		if s.Dump != "" {
			return result{0, s.Dump, ""}
		}
		m := object{"epoch": s.Epoch, "pools": s.Pools, "osds": s.OSDs, "blocklist": s.Blocklist}
		if !s.NoRanges {
			m["range_blocklist"] = s.Ranges
		}
		b, _ := json.Marshal(m)
		return result{0, string(b), ""}
	case prefix == "osd tree":
		b, _ := json.Marshal(object{"nodes": s.Tree, "stray": []int{}})
		return result{0, string(b), ""}
	case prefix == "osd down":
		return s.down(c)
	case prefix == "osd blocklist":
		return s.list(c, i)
	}
	return result{-int(syscall.EINVAL), "", "command not known"}
}

func (s *state) down(c object) result {
	for _, id := range c["ids"].([]any) {
		i := slices.IndexFunc(s.OSDs, func(o osd) bool { return fmt.Sprint(o.ID) == id })
		if i < 0 {
			return result{-int(syscall.EINVAL), "", "osd id is too large"}
		}
		s.OSDs[i].Up = 0
	}
	return result{}
}

func (s *state) list(c object, i int) result {
	addr, _ := c["addr"].(string)
	list, name := s.Blocklist, addr
	if c["range"] == "range" {
		p, err := netip.ParsePrefix(addr)
		if err != nil || s.NoRanges {
			return result{-int(syscall.EINVAL), "", "invalid command"}
		}
		list, name = s.Ranges, fmt.Sprintf("cidr:%s/%d", netip.AddrPortFrom(p.Addr(), 0), p.Bits())
	}
	switch c["blocklistop"] {
	case "rm":
		delete(list, name) // Ceph says success for what is not there, too
	case "add":
		if s.Fault == fencingtest.Lies || s.Fault == fencingtest.HalfDone && i > 0 {
			return result{}
		}
		number, _ := c["expire"].(json.Number)
		seconds, err := number.Float64()
		if err != nil || !strings.Contains(number.String(), ".") {
			return result{-int(syscall.EINVAL), "", "bad or missing field 'expire'"}
		}
		list[name] = when(time.Duration(seconds * float64(time.Second)))
		s.Epoch++
	}
	return result{}
}
