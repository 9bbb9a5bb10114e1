package etcd

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// askPause is how long after a refusal a peer port is asked again.
const askPause = 400 * time.Millisecond

// askOthers asks the other voters' peer ports, which answer without a majority, who the members are; nil when none answers. The list
// with us in it, and not started, counts most, then any: a member that lags knows an older one.
func (s *Store) askOthers(ctx context.Context, voters []Voter) []Member {
	ctx, cancel := context.WithTimeout(ctx, admitAsk)
	defer cancel()
	tc, err := loadTLS(s.cfg.TLS)
	if err != nil {
		return nil
	}
	tr := &http.Transport{TLSClientConfig: tc}
	defer tr.CloseIdleConnections()
	var mu sync.Mutex
	var best []Member
	var all sync.WaitGroup
	for _, v := range voters {
		if v.Name == s.cfg.Self {
			continue
		}
		all.Go(func() {
			list := s.cfg.askOne(ctx, tr, hostPort(v.Address, s.cfg.PeerPort))
			mu.Lock()
			defer mu.Unlock()
			if own, _ := split(list, s.cfg.Self); best == nil || own != nil && !own.Started {
				if list != nil {
					best = list
				}
			}
		})
	}
	all.Wait()
	return best
}

// askOne asks until an answer comes or the time is over.
func (c Config) askOne(ctx context.Context, tr http.RoundTripper, at string) []Member {
	for {
		if list, err := c.peerList(ctx, tr, at); err == nil && len(list) > 0 {
			return list
		}
		if !pause(ctx, askPause) {
			return nil
		}
	}
}

func (c Config) peerList(ctx context.Context, tr http.RoundTripper, at string) ([]Member, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+at+"/members", nil)
	if err != nil {
		return nil, err
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, errors.New(resp.Status)
	}
	var raw []struct {
		ID         uint64   `json:"id"`
		Name       string   `json:"name"`
		PeerURLs   []string `json:"peerURLs"`
		ClientURLs []string `json:"clientURLs"`
		IsLearner  bool     `json:"isLearner"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&raw); err != nil {
		return nil, err
	}
	var out []Member
	for _, m := range raw {
		out = append(out, c.member(m.ID, m.Name, m.PeerURLs, m.ClientURLs, m.IsLearner))
	}
	return out, nil
}
