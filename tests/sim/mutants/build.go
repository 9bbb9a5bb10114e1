package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

const huntPkg = "./tests/sim/mutants/hunt"

// build makes a hunter with a mutant in it, in dir; a mutant without edits makes the clean one. Nothing is changed in place.
func build(root, dir string, m Mutant, changed map[string]string) (string, error) {
	bin := filepath.Join(dir, "hunt-"+m.Name)
	args := []string{"build", "-o", bin}
	if len(changed) > 0 {
		overlay := struct{ Replace map[string]string }{map[string]string{}}
		for file, text := range changed {
			to := filepath.Join(dir, m.Name+"-"+filepath.Base(filepath.Dir(file))+"-"+filepath.Base(file))
			if err := os.WriteFile(to, []byte(text), 0o644); err != nil {
				return "", fmt.Errorf("mutant %s: %w", m.Name, err)
			}
			overlay.Replace[filepath.Join(root, file)] = to
		}
		b, err := json.Marshal(overlay)
		if err != nil {
			return "", fmt.Errorf("mutant %s: %w", m.Name, err)
		}
		file := filepath.Join(dir, m.Name+".json")
		if err := os.WriteFile(file, b, 0o644); err != nil {
			return "", fmt.Errorf("mutant %s: %w", m.Name, err)
		}
		args = append(args, "-overlay", file)
	}
	cmd := exec.Command("go", append(args, huntPkg)...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("mutant %s does not build: %w\n%s", m.Name, err, out)
	}
	return bin, nil
}

// moduleRoot is the directory with go.mod, from the working directory upwards.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	for ; err == nil; dir = filepath.Dir(dir) {
		if _, gone := os.Stat(filepath.Join(dir, "go.mod")); gone == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no go.mod here or above: run this inside the repository")
		}
	}
	return "", err
}
