package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bascule/ha"
)

// fixtures returns the YAML files of a folder of testdata.
func fixtures(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", dir, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures in testdata/%s: %v", dir, err)
	}
	return files
}

// compare checks text against the .want file beside a fixture; -update writes it.
func compare(t *testing.T, fixture, got string) {
	t.Helper()
	path := strings.TrimSuffix(fixture, ".yaml") + ".want"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", fixture, diff)
	}
}

func parseFixture(t *testing.T, file string) (*Config, error) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	c, s := parse(filepath.Base(file), data, surroundings{hostname: "node1", lab: !strings.Contains(file, "-release")})
	return c, asError(s.problems)
}

// Every bad file gives exactly these lines.
func TestBadFiles(t *testing.T) {
	for _, file := range fixtures(t, "bad") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			_, err := parseFixture(t, file)
			var ce *Error
			if !errors.As(err, &ce) {
				t.Fatalf("want a *config.Error, got %v", err)
			}
			compare(t, file, err.Error()+"\n")
			for _, p := range ce.Problems {
				if strings.ContainsAny(p.Message, "\n\r") {
					t.Errorf("more than one line: %q", p.Message)
				}
			}
			if got := errors.Is(err, ha.ErrTiming); got != strings.Contains(err.Error(), ha.ErrTiming.Error()) {
				t.Errorf("errors.Is(err, ha.ErrTiming) = %v for %v", got, err)
			}
			if strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "c2VjcmV0") {
				t.Errorf("repeats a secret: %v", err)
			}
		})
	}
}

// Every good file means exactly this.
func TestGoodFiles(t *testing.T) {
	for _, file := range fixtures(t, "good") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			c, err := parseFixture(t, file)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, file, describe(c))
		})
	}
}

// describe prints what follows from a file and stands in it at most indirectly.
func describe(c *Config) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s of cluster %s, %s, listens on %s\n", c.Node, c.Cluster, c.Role, c.BindAddress)
	fmt.Fprintf(&b, "sockets %s %s, token %s at %s\n", c.API.Socket, c.Guard.Socket, c.Proxmox.TokenID, c.Proxmox.ServerName)
	t := c.Timing()
	fmt.Fprintf(&b, "timing %s: lease %v, device %v, delay %v, kill %v, watchdog %v = %v, W %v\n",
		t.Profile, t.LeaseTTL, t.DeviceTimeout, t.FenceDelay, t.KillTime, t.WatchdogTimeout, c.Guard.Watchdog.Timeout, t.SelfFence())
	b.WriteString("voters")
	for _, v := range c.Voters() {
		fmt.Fprintf(&b, " %s", v.Name)
	}
	if c.External() {
		fmt.Fprintf(&b, " none, etcd at %v as %q %q with %q", c.Etcd.Endpoints, c.Etcd.User, c.Etcd.CertFile, c.Etcd.CAFile)
	} else if len(c.Etcd.InitialVoters) != len(c.Voters()) {
		fmt.Fprintf(&b, ", formed by %v", c.Etcd.InitialVoters)
	}
	for i, m := range c.Spares() {
		if i == 0 {
			b.WriteString(", spares")
		}
		fmt.Fprintf(&b, " %s", m.Name)
	}
	b.WriteString("\n")
	for _, m := range c.Members {
		fmt.Fprintf(&b, "%s at %s: levels %v, then %s\n", m.Name, m.Address, c.Levels(m.Name), c.After(m.Name))
	}
	fmt.Fprintf(&b, "fences %d at once with %d %% of the voters healthy, the most important node %v later\n", c.Fencing.MaxConcurrent, c.Fencing.MinHealthy, c.Fencing.PriorityDelay)
	fmt.Fprintf(&b, "protects tags %v pools %v vmids %v all %v\n", c.Protect.Tags, c.Protect.Pools, c.Protect.VMIDs, c.Protect.All)
	for _, w := range c.Warnings() {
		fmt.Fprintf(&b, "warning: %s\n", w)
	}
	return b.String()
}
