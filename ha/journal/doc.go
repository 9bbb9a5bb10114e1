// Package journal keeps the last rounds of the leader and the last steps of the node's machine on disk, each with
// everything that it depended on, and replays them: Decide and Step are pure, so a recorded input must give the recorded output
// again, byte for byte. It answers "why did it decide so?" after the fact, on any machine, without the cluster.
//
// A directory holds a bounded number of segment files of gzip members with one JSON object a line:
//
//	{"kind":"start","format":1,"version":…,"node":…,"boot":…}        a daemon began to write
//	{"kind":"round","at":…,"now":…,"options":…,"state":…,"observation":…,"decision":…}
//	{"kind":"step","at":…,"now":…,"config":…,"state":…,"event":…,"after":…,"effects":…,"next":…}
//	{"kind":"gap","at":…,"dropped":3,"alike":2}                       entries that could not be kept, or were left out at the end
//
// Each round and step can be replayed without any other line. In a step the parts of "after" that are the same in "state" or in the
// event are only named ("as_before", "as_event"). "alike" counts the entries left out just before because they were like one
// already written but for the clock.
//
// The journal may never hold up or change what it records: Round and Step neither block nor fail, a full queue or disk costs entries
// and nothing else, and it never waits for the disk's cache (fsync would compete with etcd's). It never holds secrets: settings of
// fencing devices and tokens are in none of the recorded types, and a test keeps it so.
package journal
