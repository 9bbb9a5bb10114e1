package leader

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bascule/ha"
)

// newVoters is a world of so many nodes whose first three, or five, keep the store; the others are spares.
func newVoters(t testing.TB, nodes, voters int) *world {
	w := newWorld(t, nodes)
	for i, m := range w.leader.Members {
		if i < voters {
			w.leader.Voters = append(w.leader.Voters, m.Name)
		} else {
			w.leader.Spares = append(w.leader.Spares, m.Name)
		}
	}
	w.etcd.Voters, w.etcd.Answering = slices.Clone(w.leader.Voters), slices.Clone(w.leader.Voters)
	w.run(2)
	return w
}

// witness adds a member that votes, or may, and runs no guests.
func (w *world) witness(n ha.NodeName, spare bool) {
	w.leader.Members = append(w.leader.Members, ha.Member{Name: n, Witness: true})
	w.boot(n, boot(n))
	w.report(n, func(r *ha.NodeReport) { r.Witness = true })
	if spare {
		w.leader.Spares = append(w.leader.Spares, n)
	} else {
		w.leader.Voters = append(w.leader.Voters, n)
		w.etcd.Voters, w.etcd.Answering = append(w.etcd.Voters, n), append(w.etcd.Answering, n)
	}
	w.run(2)
}

// mute ends a node's etcd; back lets it answer again.
func (w *world) mute(names ...ha.NodeName) {
	w.etcd.Answering = slices.DeleteFunc(slices.Clone(w.etcd.Answering), func(n ha.NodeName) bool { return slices.Contains(names, n) })
}

func (w *world) back(n ha.NodeName) { w.etcd.Answering = append(slices.Clone(w.etcd.Answering), n) }

// lose is the end of a node with its voter.
func (w *world) lose(n ha.NodeName) {
	w.die(n)
	w.mute(n)
}

// votes says who votes now.
func (w *world) votes(names ...ha.NodeName) {
	w.etcd.Answering = slices.DeleteFunc(slices.Clone(names), func(n ha.NodeName) bool {
		return slices.Contains(w.etcd.Voters, n) && !slices.Contains(w.etcd.Answering, n)
	})
	w.etcd.Voters = names
}

// wait lets the time pass with a round every five seconds.
func (w *world) wait(d time.Duration) {
	for end := w.now.Add(d); w.now < end; {
		w.now = w.now.Add(4900 * time.Millisecond)
		w.run(1)
	}
}

// change is the recorded change.
func (w *world) change() *ha.VoterChange {
	kv, ok := w.kv[ha.KeyVoterChange]
	if !ok {
		return nil
	}
	var c ha.VoterChange
	if err := json.Unmarshal(kv.Value, &c); err != nil {
		w.t.Fatal(err)
	}
	return &c
}

func (w *world) wantChange(old, by ha.NodeName) {
	w.t.Helper()
	if c := w.change(); c == nil || c.Old != old || c.By != by {
		w.t.Fatalf("recorded: %+v, want %s by %q", c, old, by)
	}
}

// told are the transitions of voters so far: "n2: voter -> replacing".
func (w *world) told() (out []string) {
	for _, t := range w.trans {
		if n, ok := strings.CutPrefix(t.Subject, "voter "); ok {
			out = append(out, fmt.Sprintf("%s: %s -> %s", n, t.From, t.To))
		}
	}
	return out
}

func TestAVoterThatIsGoneForTenMinutesIsReplacedBySpare(t *testing.T) {
	w := newVoters(t, 4, 3)
	w.lose("n2")
	w.wait(9*time.Minute + 50*time.Second)
	if w.change() != nil || len(w.orders) > 0 {
		t.Fatalf("too early: %+v, %v", w.change(), w.orders)
	}
	w.wait(15 * time.Second)
	w.wantChange("n2", "n4")
	w.wait(time.Minute)
	rev := w.kv[ha.KeyVoterChange].ModRev
	if len(w.orders) < 2 || len(w.orders) > 4 || w.orders[0] != (ha.VoterOrder{Old: "n2", By: "n4", Term: w.term, Rev: rev}) || w.orders[1] != w.orders[0] {
		t.Fatalf("orders in a minute: %+v, record at revision %d", w.orders, rev)
	}
	w.votes("n1", "n3") // half done
	w.wait(30 * time.Second)
	w.wantChange("n2", "n4")
	w.votes("n1", "n3", "n4")
	w.orders = nil
	w.wait(time.Hour)
	if c := w.change(); c != nil || len(w.orders) > 0 {
		t.Errorf("done, and still %+v, %v", c, w.orders)
	}
	if got := w.told(); !slices.Equal(got, []string{"n2: voter -> replacing", "n2: replacing -> replaced"}) {
		t.Errorf("people hear %q", got)
	}
	stored := 0
	for k, kv := range w.kv {
		if strings.HasPrefix(k, ha.PrefixEvent) && strings.Contains(string(kv.Value), "voter n2") {
			stored++
		}
	}
	if stored != 2 {
		t.Errorf("%d events are stored", stored)
	}
	w.lose("n4") // the next one, and who came back is a spare
	w.boot("n2", "boot-n2-new")
	w.device["n2-bmc"].power = ha.PowerOn
	w.wait(11 * time.Minute)
	w.wantChange("n4", "n2")
}

// Each case runs for seventy minutes without an order, and without a record.
func TestWhatKeepsAVoter(t *testing.T) {
	for name, prepare := range map[string]func(w *world) (each func(minute int)){
		"it answers now and then": func(w *world) func(int) {
			w.lose("n2")
			return func(minute int) {
				if minute%9 == 8 {
					w.back("n2")
					w.run(1)
					w.mute("n2")
				}
			}
		},
		"no majority answers": func(w *world) func(int) {
			w.lose("n2")
			w.blind = true
			return nil
		},
		"a majority answers for a minute at a time": func(w *world) func(int) {
			w.lose("n2")
			return func(minute int) { w.blind = minute%2 == 0 }
		},
		"it lives, and only the leader does not reach it": func(w *world) func(int) {
			w.mute("n2")
			return nil
		},
		"somebody changes the voters": func(w *world) func(int) {
			w.lose("n2")
			w.etcd.Changing = true
			return nil
		},
		"the store was restored, and not everybody has reported": func(w *world) func(int) {
			w.lose("n2")
			w.put(ha.KeyCluster, ha.ClusterRecord{Schema: ha.Schema, Epoch: 2, ListRev: 1, Members: w.snapshot().Cluster.Rec.Members, Reason: "test"})
			return nil
		},
		"it may not vote by the configuration": func(w *world) func(int) {
			w.leader.Voters = []ha.NodeName{"n1", "n3"}
			w.lose("n2")
			return nil
		},
		"a record of it cannot be read": func(w *world) func(int) {
			w.lose("n2")
			w.tear(ha.KeyNode("n2"), "x")
			return nil
		},
		"the store is elsewhere": func(w *world) func(int) {
			w.lose("n2")
			w.etcd = EtcdView{}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newVoters(t, 4, 3)
			each := prepare(w)
			for minute := range 70 {
				if each != nil {
					each(minute)
				}
				w.wait(time.Minute)
			}
			if c := w.change(); c != nil || len(w.orders) > 0 {
				t.Errorf("recorded %+v, ordered %v", c, w.orders)
			}
		})
	}
}

// A node that lives and has lost its etcd alone says so.
func TestALivingNodeWithoutItsEtcdLosesItsVote(t *testing.T) {
	w := newVoters(t, 4, 3)
	w.mute("n2")
	w.wait(5 * time.Minute)
	w.report("n2", func(r *ha.NodeReport) { r.EtcdDown = true })
	w.wait(9 * time.Minute)
	if w.change() != nil {
		t.Fatalf("its time counts from its word: %+v", w.change())
	}
	w.wait(2 * time.Minute)
	w.wantChange("n2", "n4")
}

// Who was stopped in order, or drained, has an hour.
func TestAVoterThatLeftInOrderHasAnHour(t *testing.T) {
	for name, leave := range map[string]func(w *world){
		"drained": func(w *world) {
			w.request(ha.RequestDrain, "n2")
			w.run(3)
			w.mute("n2")
			w.leaves("n2")
		},
		"stopped": func(w *world) {
			w.mute("n2")
			w.leaves("n2")
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newVoters(t, 4, 3)
			leave(w)
			w.wait(59 * time.Minute)
			if w.change() != nil {
				t.Fatalf("too early: %+v", w.change())
			}
			w.wait(2 * time.Minute)
			w.wantChange("n2", "n4")
		})
	}
}

func TestWhichSpareIsChosen(t *testing.T) {
	for name, tt := range map[string]struct {
		prepare func(w *world)
		by      ha.NodeName
		says    string
	}{
		"the first":             {func(w *world) {}, "n4", "n4 votes in its place"},
		"a witness goes first":  {func(w *world) { w.witness("w1", true) }, "w1", "w1 votes in its place"},
		"not a dead one":        {func(w *world) { w.die("n4") }, "n5", ""},
		"not a drained one":     {func(w *world) { w.request(ha.RequestDrain, "n4"); w.run(2) }, "n5", ""},
		"not one that leaves":   {func(w *world) { w.report("n4", func(r *ha.NodeReport) { r.Leaving = true }) }, "n5", ""},
		"not a suspect one":     {func(w *world) { w.gossip["n4"] = ha.GossipView{Known: true}; w.device["n4-bmc"].problem = "broken" }, "n5", ""},
		"not an unreadable one": {func(w *world) { w.tear(ha.KeyGuestReport("n4", 1), "x"); w.tear(ha.KeyFence("n4"), "x") }, "n5", ""},
		"nobody there": {func(w *world) {
			w.die("n4")
			w.request(ha.RequestDrain, "n5")
			w.run(2)
		}, "", "no spare can vote in its place now (n4: it holds no lease; n5: it is drained)"},
		"none configured": {func(w *world) { w.leader.Spares = nil }, "", "there is no spare that could vote in its place"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newVoters(t, 5, 3)
			w.lose("n2")
			tt.prepare(w)
			w.wait(11 * time.Minute)
			w.wantChange("n2", tt.by)
			if !strings.Contains(w.change().Reason, tt.says) {
				t.Errorf("it says %q", w.change().Reason)
			}
			if tt.by == "" && len(w.orders) > 0 {
				t.Errorf("orders for nobody: %v", w.orders)
			}
		})
	}
}

// Without a spare people are told once; a spare that comes is taken, and a voter that comes back ends it.
func TestALostVoterWithoutASpare(t *testing.T) {
	for name, tt := range map[string]struct {
		then func(w *world)
		told []string
	}{
		"a spare comes": {func(w *world) {
			w.leader.Spares = []ha.NodeName{"n4"}
			w.wait(time.Minute)
			w.wantChange("n2", "n4")
			if len(w.orders) == 0 {
				w.t.Error("nothing is ordered")
			}
		}, []string{"n2: voter -> lost", "n2: lost -> replacing"}},
		"it is back": {func(w *world) {
			w.back("n2")
			w.wait(time.Minute)
			if w.change() != nil || len(w.orders) > 0 {
				w.t.Errorf("%+v, %v", w.change(), w.orders)
			}
		}, []string{"n2: voter -> lost", "n2: lost -> voter"}},
		"an operator takes it out": {func(w *world) {
			w.votes("n1", "n3")
			w.wait(time.Minute)
			if w.change() != nil || len(w.orders) > 0 {
				w.t.Errorf("%+v, %v", w.change(), w.orders)
			}
		}, []string{"n2: voter -> lost", "n2: lost -> removed"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newVoters(t, 4, 3)
			w.leader.Spares = nil
			w.lose("n2")
			w.wait(time.Hour)
			tt.then(w)
			if got := w.told(); !slices.Equal(got, tt.told) {
				t.Errorf("people hear %q", got)
			}
		})
	}
}

// The order is void when the lost one is back before it was carried out.
func TestAVoterThatIsBackKeepsItsVote(t *testing.T) {
	w := newVoters(t, 4, 3)
	w.lose("n2")
	w.wait(11 * time.Minute)
	w.wantChange("n2", "n4")
	w.back("n2")
	w.run(2)
	n := len(w.orders)
	w.wait(time.Hour)
	if w.change() != nil || len(w.orders) != n {
		t.Errorf("%+v, %d orders and then %d", w.change(), n, len(w.orders))
	}
	if got := w.told(); !slices.Equal(got, []string{"n2: voter -> replacing", "n2: replacing -> voter"}) {
		t.Errorf("people hear %q", got)
	}
}

// Two of five that are gone: etcd lets nobody in while one of those that stay does not answer. Never two at once.
func TestTwoLostVotersWaitForEachOther(t *testing.T) {
	w := newVoters(t, 7, 5)
	w.lose("n4")
	w.lose("n5")
	w.wait(time.Hour)
	w.wantChange("n4", "")
	if len(w.orders) > 0 || !strings.Contains(w.change().Reason, "while n5 does not answer either: bring one of them back") {
		t.Errorf("%+v, orders %v", w.change(), w.orders)
	}
	w.back("n5")
	w.boot("n5", "boot-n5-new")
	w.device["n5-bmc"].power = ha.PowerOn
	w.wait(time.Minute)
	w.wantChange("n4", "n6")
	w.mute("n5") // for a moment: what is chosen stays, and nothing is ordered
	w.orders = nil
	w.wait(time.Minute)
	if w.wantChange("n4", "n6"); len(w.orders) > 0 {
		t.Errorf("ordered while another one does not answer: %v", w.orders)
	}
}

// A new leader trusts the record, and counts the absence itself before it takes a vote away. What is half done it finishes at once.
func TestANewLeaderGoesOn(t *testing.T) {
	for name, tt := range map[string]struct {
		half bool
		wait time.Duration
	}{"before it was taken out": {false, 10 * time.Minute}, "half done": {true, 0}} {
		t.Run(name, func(t *testing.T) {
			w := newVoters(t, 4, 3)
			w.lose("n2")
			w.wait(11 * time.Minute)
			w.wantChange("n2", "n4")
			if tt.half {
				w.votes("n1", "n3")
			}
			w.state, w.orders = State{}, nil
			w.term++
			if tt.wait > 0 {
				w.wait(tt.wait - 10*time.Second)
				if len(w.orders) > 0 {
					t.Fatalf("ordered early: %v", w.orders)
				}
			}
			w.wait(30 * time.Second)
			if len(w.orders) == 0 || w.orders[0].Term != w.term {
				t.Errorf("orders: %v", w.orders)
			}
			w.wantChange("n2", "n4")
		})
	}
}

// A spare that dies while it is let in, or does not come to vote, is passed over; what it began goes with the order to the next one.
func TestASpareThatDoesNotComeToVoteIsPassedOver(t *testing.T) {
	for name, tt := range map[string]struct {
		half   bool
		spoil  func(w *world)
		within time.Duration
		old    ha.NodeName
	}{
		"it dies":                     {false, func(w *world) { w.die("n4") }, time.Minute, "n2"},
		"it does not come":            {false, func(w *world) {}, 6 * time.Minute, "n2"},
		"it dies, half done":          {true, func(w *world) { w.die("n4") }, time.Minute, "n4"},
		"it does not come, half done": {true, func(w *world) {}, 6 * time.Minute, "n4"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newVoters(t, 5, 3)
			w.lose("n2")
			w.wait(10*time.Minute + 10*time.Second)
			w.wantChange("n2", "n4")
			if tt.half {
				w.votes("n1", "n3")
			}
			tt.spoil(w)
			w.wait(20 * time.Second)
			w.wantChange("n2", "n4")
			w.wait(tt.within)
			w.wantChange(tt.old, "n5")
			w.orders = nil
			w.wait(time.Minute)
			if len(w.orders) == 0 || w.orders[0].Old != tt.old || w.orders[0].By != "n5" {
				t.Errorf("orders: %v", w.orders)
			}
			w.votes("n1", "n3", "n5")
			w.wait(time.Minute)
			if w.change() != nil {
				t.Errorf("done, and still %+v", w.change())
			}
		})
	}
}

// With nobody else there the chosen one is tried again; once the old voter is out it may come back as the spare.
func TestTheLastSpareIsTriedAgain(t *testing.T) {
	w := newVoters(t, 4, 3)
	w.lose("n2")
	w.wait(11 * time.Minute)
	w.votes("n1", "n3")
	w.wait(10 * time.Minute)
	w.wantChange("n2", "n4")
	w.die("n4")
	w.wait(10 * time.Minute)
	w.wantChange("n2", "n4")
	w.boot("n2", "boot-n2-new")
	w.device["n2-bmc"].power = ha.PowerOn
	w.wait(2 * time.Minute)
	w.wantChange("n4", "n2")
	w.votes("n1", "n3", "n2")
	w.wait(time.Minute)
	if w.change() != nil {
		t.Errorf("done, and still %+v", w.change())
	}
}

// A witness has no record: its lease and gossip count.
func TestAWitnessIsReplacedToo(t *testing.T) {
	w := newVoters(t, 3, 2)
	w.witness("w1", false)
	w.leader.Spares = []ha.NodeName{"n3"}
	w.gossip["w1"] = ha.GossipView{Known: true}
	w.del(ha.KeyLease("w1"))
	w.mute("w1")
	w.wait(11 * time.Minute)
	w.wantChange("w1", "n3")
}

func TestAnUnreadableChangeIsLeftAlone(t *testing.T) {
	w := newVoters(t, 4, 3)
	w.lose("n2")
	w.tear(ha.KeyVoterChange, "x")
	w.wait(time.Hour)
	if string(w.kv[ha.KeyVoterChange].Value) != "x" || len(w.orders) > 0 {
		t.Errorf("%s, %v", w.kv[ha.KeyVoterChange].Value, w.orders)
	}
}

// min_healthy counts who votes, not who did at first.
func TestMinHealthyCountsThosWhoVote(t *testing.T) {
	w := newVoters(t, 5, 3)
	w.leader.MinHealthy = 51
	w.guest(101, ha.QEMU, "n3")
	w.lose("n2")
	w.wait(11 * time.Minute)
	w.votes("n1", "n3", "n4")
	w.wait(time.Minute)
	w.cut("n3") // one of n1, n3, n4: two of three are healthy; by the configuration it would be one of three
	w.mute("n3")
	w.wait(30 * time.Second)
	w.wantNode("n3", ha.NodeFenced)
}
