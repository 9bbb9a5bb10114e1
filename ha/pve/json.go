package pve

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Number decodes what Proxmox sends for numbers: 12, 12.0, "12", true, null. Set tells null and absence from 0.
type Number struct {
	Value int64
	Set   bool
}

// UnmarshalJSON accepts numbers, numeric strings, booleans and null.
func (n *Number) UnmarshalJSON(data []byte) error {
	*n = Number{}
	text := strings.Trim(string(data), `" `)
	switch text {
	case "null", "":
		return nil
	case "true":
		*n = Number{1, true}
		return nil
	case "false":
		*n = Number{0, true}
		return nil
	}
	if v, err := strconv.ParseInt(text, 10, 64); err == nil {
		*n = Number{v, true}
		return nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(f) || f < math.MinInt64 || f >= math.MaxInt64 {
		return fmt.Errorf("PVE sent %s where a number belongs", data)
	}
	*n = Number{int64(f), true}
	return nil
}

// Yes says whether the number is Proxmox's true.
func (n Number) Yes() bool { return n.Value != 0 }

// Word decodes what Proxmox sends for strings: "x", 12, null.
type Word string

// UnmarshalJSON accepts strings, bare numbers and null.
func (w *Word) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*w = ""
		return nil
	}
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		s = string(data)
	}
	*w = Word(s)
	return nil
}
