//go:build pages

package main

import (
	"os"

	"bascule/cmd/pages"
)

// main of the build that writes the man pages and completions.
func main() { os.Exit(pages.Main(newRoot(&hactl{}), "1")) }
