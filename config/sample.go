package config

import (
	"fmt"
	"reflect"
	"strings"
)

const sampleIntro = `# basculed's configuration: /etc/bascule/basculed.yaml
# Every setting with its default; remove the # in front of a key to change it. What is without # must be there.
# Explanations, voters and error messages: docs/config.md
`

// Sample returns a commented configuration (docs/basculed.sample.yaml) that is valid for the host node1. With every # removed that stands
// directly in front of a key it says the same, spelt out.
func Sample() string {
	var b strings.Builder
	b.WriteString(sampleIntro)
	sampleSection(&b, reflect.TypeFor[Config](), "")
	return b.String()
}

func sampleSection(b *strings.Builder, t reflect.Type, indent string) {
	for _, f := range fieldsOf(t) {
		ft := t.Field(f.index).Type
		if indent == "" {
			b.WriteString("\n")
		}
		prose(b, indent, sampleDoc(ft, f))
		switch {
		case ft.Kind() == reflect.Struct:
			fmt.Fprintf(b, "%s%s:\n", indent, f.key)
			sampleSection(b, ft, indent+"  ")
		case f.required && isEntryList(ft):
			fmt.Fprintf(b, "%s%s:\n", indent, f.key)
			for _, item := range strings.Split(f.example, "\n") {
				fmt.Fprintf(b, "%s  - %s\n", indent, item)
			}
		case f.required:
			fmt.Fprintf(b, "%s%s: %s\n", indent, f.key, f.example)
		default:
			fmt.Fprintf(b, "%s#%s: %s\n", indent, f.key, sampleValue(ft, f))
		}
	}
}

// sampleValue is what the file would say if it spelt the setting out.
func sampleValue(t reflect.Type, f field) string {
	if f.example == "" {
		return f.sample()
	}
	switch {
	case isEntryList(t):
		return "[" + f.example + "]"
	case t.Kind() == reflect.Map:
		return "{" + f.example + "}"
	}
	return f.example
}

// sampleDoc is the comment above a setting.
func sampleDoc(t reflect.Type, f field) string {
	text := f.doc
	if f.max != "" {
		text += fmt.Sprintf(" From %s to %s.", f.min, f.max)
	}
	if f.computed() {
		text += " Default: " + strings.NewReplacer("<", "", ">", "").Replace(f.def) + "."
	} else if f.example != "" && !f.required {
		text += " Default: " + f.def + "."
	}
	if isEntryList(t) {
		text += " Keys of an entry: " + keyList(fieldsOf(t.Elem())) + "."
	}
	return text
}

// prose writes a comment in lines of at most 110 columns.
func prose(b *strings.Builder, indent, text string) {
	const width = 110
	line := indent + "#"
	for _, word := range strings.Fields(text) {
		if len(line)+1+len(word) > width {
			b.WriteString(line + "\n")
			line = indent + "#"
		}
		line += " " + word
	}
	b.WriteString(line + "\n")
}
