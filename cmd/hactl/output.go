package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// structured writes v as -o asks, and says whether it did (text is the caller's work). Several values follow each
// other as JSON lines (compact) or YAML documents.
func (h *hactl) structured(v any, stream bool) (bool, error) {
	switch h.output {
	case "json":
		return true, writeJSON(h.out, v, !stream)
	case "yaml":
		if stream {
			fmt.Fprintln(h.out, "---")
		}
		return true, writeYAML(h.out, v)
	}
	return false, nil
}

func writeJSON(w io.Writer, v any, indent bool) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	if indent {
		enc.SetIndent("", "  ")
	}
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("output as JSON: %w", err)
	}
	return nil
}

// writeYAML writes the JSON form as YAML, so that both have the same names and order.
func writeYAML(w io.Writer, v any) error {
	var b bytes.Buffer
	if err := writeJSON(&b, v, false); err != nil {
		return err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(b.Bytes(), &doc); err != nil { // JSON is YAML
		return fmt.Errorf("output as YAML: %w", err)
	}
	plain(&doc)
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if err := enc.Encode(&doc); err != nil {
		return fmt.Errorf("output as YAML: %w", err)
	}
	return enc.Close()
}

// plain drops JSON's braces and quotes; the encoder quotes again where a string would be read as something else. It does not know that
// many readers still take YAML 1.1's words for true and false.
func plain(n *yaml.Node) {
	n.Style = 0
	switch strings.ToLower(n.Value) {
	case "on", "off", "yes", "no", "y", "n":
		n.Style = yaml.DoubleQuotedStyle
	}
	for _, c := range n.Content {
		plain(c)
	}
}
