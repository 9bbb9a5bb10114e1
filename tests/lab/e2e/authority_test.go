//go:build e2e

package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bascule/tests/lab/bench"
)

// The cluster's authority is replaced under running guests: no node loses its lease, no guest notices. Then a node dies, is taken out, and its
// disk is not trusted any more: with its certificate it is welcome everywhere until the authority is replaced again, and nowhere from then on.
func TestRotateAuthorityShutsARemovedNodeOut(t *testing.T) {
	s := bare(t)
	s.says("init", s.hactl("node1", append([]string{"init", "--yes", "--timing", "patient"}, s.bmcs()...)...))
	for _, node := range []string{"node2", "node3"} {
		s.says("join", s.hactl(node, "join", "--yes"))
	}
	s.within(2*time.Minute, "every guest is protected and runs", s.Healthy)
	stolen := s.certificate("node3")
	if at := s.welcomed(stolen, "node1", "node2"); len(at) != 6 {
		t.Fatalf("node3 is welcome at %v only", at)
	}

	s.rotate("node2", "node1", "node3") // on whichever node
	s.must(s.Healthy(s.ctx))
	if at := s.welcomed(stolen, "node1", "node2"); len(at) > 0 {
		t.Errorf("a certificate of the old authority is welcome at %v", at)
	}
	stolen = s.certificate("node3")

	_, err := s.Kill(s.ctx, "node3")
	s.must(err)
	s.within(2*time.Minute, "the dead node's guests run again", func(ctx context.Context) error { return s.elsewhere(ctx, "node3") })
	s.says("remove", s.hactl("node1", "remove", "node3", "--yes"))
	s.says("join --update", s.hactl("node2", "join", "--update", "--yes"))
	if at := s.welcomed(stolen, "node1", "node2"); len(at) != 6 {
		t.Errorf("the removed node's certificate is welcome at %v only: what follows would show nothing", at)
	}
	s.rotate("node1", "node2")
	if at := s.welcomed(stolen, "node1", "node2"); len(at) > 0 {
		t.Errorf("the removed node's certificate is welcome at %v", at)
	}
	for _, node := range []string{"node1", "node2"} {
		if at := s.welcomed(s.certificate(node), "node1", "node2"); len(at) != 6 {
			t.Errorf("%s is welcome at %v only", node, at)
		}
	}
}

// rotate replaces the authority from a node. Nobody may lose a lease by it, and every guest's process stays the one that it was.
func (s *site) rotate(node string, others ...string) {
	s.t.Helper()
	guests := s.running()
	began := time.Now()
	out := s.hactl(node, "keys", "rotate-authority")
	s.says("keys rotate-authority", out)
	s.t.Logf("RESULT authority: replaced in %.1f s", time.Since(began).Seconds())
	if !strings.Contains(out, "trust the new authority alone") {
		s.t.Fatalf("it did not come to its end:\n%s", out)
	}
	for _, e := range s.since(began) {
		if strings.HasPrefix(e, "node ") || strings.HasPrefix(e, "guest ") {
			s.t.Errorf("while the authority was replaced: %s", e)
		}
	}
	if now := s.running(); !slices.Equal(now, guests) {
		s.t.Errorf("guests' processes were %v and are %v", guests, now)
	}
	status, err := s.status(s.ctx, node)
	s.must(err)
	for _, n := range status.Nodes {
		if !n.Lease && slices.Contains(append(others, node), string(n.Name)) {
			s.t.Errorf("%s holds no lease", n.Name)
		}
	}
	for _, p := range status.Problems {
		if strings.Contains(p.What, "authorit") || strings.Contains(p.What, "certificate") {
			s.t.Errorf("afterwards: %s", p.What)
		}
	}
}

// since lists Bascule's stored events after a moment.
func (s *site) since(moment time.Time) (out []string) {
	s.t.Helper()
	all, err := bench.AnyEvents(s.ctx, s.Lab, "")
	s.must(err)
	for _, e := range all {
		if e.At.After(moment) {
			out = append(out, fmt.Sprintf("%s: %s -> %s (%s)", e.Subject, e.From, e.To, e.Reason))
		}
	}
	return out
}

// running lists the guests' processes.
func (s *site) running() (out []string) {
	for _, p := range s.Processes() {
		if slices.Contains(s.Options.GuestIDs(), p.Guest) {
			out = append(out, fmt.Sprintf("%d on %s as %d", p.Guest, p.Node, p.Pid))
		}
	}
	slices.Sort(out)
	return out
}

// certificate is a copy of what a node shows now.
func (s *site) certificate(node string) tls.Certificate {
	s.t.Helper()
	pair, err := tls.LoadX509KeyPair(s.Node(node, "root/etc/bascule/tls/node.pem"), s.Node(node, "root/etc/bascule/tls/node.key"))
	s.must(err)
	return pair
}

// welcomed are the ports of these nodes that accept a caller with a certificate: the API's, etcd's for clients and for peers. A refusal shows
// at the first byte.
func (s *site) welcomed(cert tls.Certificate, nodes ...string) (at []string) {
	s.t.Helper()
	for _, node := range nodes {
		i := slices.Index(s.Names(), node) + 1
		for _, port := range []int{8790, 2379, 2380} {
			address := fmt.Sprintf("%s:%d", s.Bind(i), port)
			conn, err := tls.Dial("tcp", address, &tls.Config{Certificates: []tls.Certificate{cert}, InsecureSkipVerify: true})
			if err != nil {
				continue
			}
			_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
			_, err = conn.Write([]byte("GET /health HTTP/1.1\r\nHost: x\r\n\r\n"))
			if err == nil {
				_, err = conn.Read(make([]byte, 1))
			}
			if conn.Close(); err == nil {
				at = append(at, address)
			}
		}
	}
	return at
}
