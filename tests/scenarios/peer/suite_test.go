package peer

import (
	"os"
	"path/filepath"
	"testing"
)

// TestSuite runs the suite that lies outside of the repository, if it does.
func TestSuite(t *testing.T) {
	dir := os.Getenv("BASCULE_PEER_SCENARIOS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "shared", "peer-scenarios")
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("there are no peer scenarios in %s (BASCULE_PEER_SCENARIOS names another folder): nothing of the peer's suite was run", dir)
	}
	if testing.Short() {
		t.Skip("plays dozens of worlds")
	}
	c, err := RunAll(dir, Options{}, func(name string, v Verdict) {
		if v.Word == Fail {
			t.Errorf("%s: %s", name, v)
		} else {
			t.Logf("%s: %s", name, v)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(c.Line())
}

// TestRunAll: every folder with a cmdlist is run, one that cannot be read fails, and a folder without any is an error.
func TestRunAll(t *testing.T) {
	dir := t.TempDir()
	if _, err := RunAll(dir, Options{}, nil); err == nil {
		t.Error("an empty folder is no suite")
	}
	for name, list := range map[string]string{"one": `[[]]`, "two": `not JSON`, "other": `[[]]`} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		for file, text := range map[string]string{"cmdlist": list, "hardware_status": three, "expected.json": `{"guests": {}}`} {
			if err := os.WriteFile(filepath.Join(dir, name, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	told := map[string]string{}
	c, err := RunAll(dir, Options{}, func(name string, v Verdict) { told[name] = v.Word })
	if err != nil || c != (Count{Pass: 2, Fail: 1}) || told["two"] != Fail {
		t.Errorf("%+v, %v, %v", c, told, err)
	}
	if c, err = RunAll(dir, Options{Only: "t"}, func(string, Verdict) {}); err != nil || c.Pass+c.Fail != 2 {
		t.Errorf("of three folders two have a t: %+v, %v", c, err)
	}
}
