package alert

import (
	"fmt"
	"strings"
)

// Page renders docs/alerts.md's table: every kind of alert with what it means and what to do.
func Page() string {
	var b strings.Builder
	b.WriteString("| kind | severity | what happened | what to do |\n|---|---|---|---|\n")
	for _, k := range kinds {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", k.ID, k.Severity, k.Title, k.Do)
	}
	return b.String()
}
