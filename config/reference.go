package config

import (
	"fmt"
	"reflect"
	"strings"
	"time"
)

const referenceIntro = `# Configuration

<!-- Written by config.Reference(); change the struct tags in config/config.go and run: go generate ./config -->

` + "`basculed`, `basculed guard` and `hactl` read one YAML file, `" + DefaultPath + "`. [basculed.sample.yaml](basculed.sample.yaml)" + `
shows every setting with its default. One file may serve all members as it is: ` + "`node`, `role` and `bind_address`" + ` follow from the
host name and the member list.

The file is read strictly. Unknown keys, keys that stand twice, wrong types, aliases (` + "`*x`" + `) and a second document are errors.
Every error is one line, ` + "`FILE:LINE: SETTING: what is wrong; what to write instead`" + `, and all of them come at once. The daemon
then exits with status 78 and systemd does not start it again until the file is corrected and ` + "`systemctl start basculed`" + ` is called.
` + "`basculed guard`" + ` minds only ` + "`run_dir`, `timing`, `guard`, `log`" + ` and unknown sections, so that it comes up when other parts are wrong; of ` + "`fencing.devices`" + `
it uses the node's own ` + "`sbd`" + ` devices, whose slots it watches, and leaves out what is wrong there.

- Times are a number and a unit: ` + "`250ms`, `5s`, `1m30s`" + `. A number alone is an error.
- Paths are absolute. Secrets are never written here, only the paths of files that hold them. Such a file must exist, must not be empty,
  and no other user may reach it (` + "`chmod 600`" + `). Files below ` + "`proxmox.root`" + ` are not looked for at start-up.
- A default in <angle brackets> is computed from other settings.

The usual configuration is six lines:

` + "```yaml" + `
cluster: lab
members:
  - {name: node1, address: 10.0.0.1}
  - {name: node2, address: 10.0.0.2}
  - {name: node3, address: 10.0.0.3}
` + "```" + `

**Voters.** Voters keep the store; a majority of them must be alive. Without any ` + "`voter:`" + ` in the list the witnesses and then the first members
vote until there are 3, from five members on 5. ` + "`voter: false`" + ` passes the place on to the next member; ` + "`voter: true`" + ` adds one. An odd number is
best: an even one survives no more losses than one fewer. Two nodes need a witness as the third vote.

**Spares.** Every other member without a ` + "`voter:`" + ` line is a spare: it keeps no copy of the store, runs no etcd and costs the others nothing, until a voter
has been gone for ten minutes (twice ` + "`timing.boot_time`" + `, if that is longer) and the leader lets a spare in, in its place. ` + "`voter: false`" + ` makes a member that is never one.
`

// Reference returns docs/config.md: every setting with its default and meaning, from the struct tags.
func Reference() string {
	var b strings.Builder
	b.WriteString(referenceIntro)
	referenceSection(&b, reflect.TypeFor[Config](), "", field{doc: "At the left margin of the file."})
	return b.String()
}

func referenceSection(b *strings.Builder, t reflect.Type, path string, self field) {
	title := "Top level"
	if path != "" {
		title = "`" + path + "`"
	}
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n| key | default | meaning |\n|---|---|---|\n", title, self.doc)
	fields := fieldsOf(t)
	for _, f := range fields {
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", f.key, defaultCell(t.Field(f.index).Type, f), meaningCell(t.Field(f.index).Type, f))
	}
	for _, f := range fields {
		switch ft := t.Field(f.index).Type; {
		case ft.Kind() == reflect.Struct:
			referenceSection(b, ft, join(path, f.key), f)
		case isEntryList(ft):
			referenceSection(b, ft.Elem(), join(path, f.key)+"[]", field{doc: "Keys of one entry."})
		}
	}
}

// isEntryList says whether a setting is a list of blocks.
func isEntryList(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct
}

func defaultCell(t reflect.Type, f field) string {
	switch {
	case f.required:
		return "**required**"
	case t.Kind() == reflect.Struct:
		return "section"
	case f.computed():
		return cell(strings.NewReplacer("<", "&lt;", ">", "&gt;").Replace(f.def))
	}
	return "`" + cell(f.def) + "`"
}

func meaningCell(t reflect.Type, f field) string {
	text := f.doc
	if len(f.enum) > 0 {
		text += " One of `" + strings.Join(f.enum, "`, `") + "`."
	}
	if f.max != "" {
		text += fmt.Sprintf(" From %s to %s.", f.min, f.max)
	}
	text += fmt.Sprintf(" *%s*", typeName(t, f))
	return cell(text)
}

func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }

func typeName(t reflect.Type, f field) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "time"
	case t.Kind() == reflect.Struct && f.scalar != "":
		return "text or section"
	case t.Kind() == reflect.Struct:
		return "section"
	case isEntryList(t):
		return "list of entries"
	case t.Kind() == reflect.Slice:
		return "list"
	case t.Kind() == reflect.Map && t.Elem().Kind() == reflect.Slice:
		return "node: list of levels, each a list of devices"
	case t.Kind() == reflect.Map:
		return "key: value pairs"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Int:
		return "whole number"
	}
	return "text"
}
