package proxmox

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// number decodes what PVE sends for numbers: 12, 12.0, "12", true, null. Set tells null and absence from 0.
type number struct {
	Value int64
	Set   bool
}

// UnmarshalJSON accepts numbers, numeric strings, booleans and null.
func (n *number) UnmarshalJSON(data []byte) error {
	*n = number{}
	text := strings.Trim(string(data), `" `)
	switch text {
	case "null", "":
		return nil
	case "true":
		*n = number{1, true}
		return nil
	case "false":
		*n = number{0, true}
		return nil
	}
	if v, err := strconv.ParseInt(text, 10, 64); err == nil {
		*n = number{v, true}
		return nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(f) || f < math.MinInt64 || f >= math.MaxInt64 {
		return fmt.Errorf("PVE sent %s where a number belongs", data)
	}
	*n = number{int64(f), true}
	return nil
}

// yes says whether the number is PVE's true.
func (n number) yes() bool { return n.Value != 0 }

// word decodes what PVE sends for strings: "x", 12, null.
type word string

// UnmarshalJSON accepts strings, bare numbers and null.
func (w *word) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*w = ""
		return nil
	}
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		s = string(data)
	}
	*w = word(s)
	return nil
}

// sortedKeys returns a map's keys in order, so that texts built from it are the same each time.
func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
