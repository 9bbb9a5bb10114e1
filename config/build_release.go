//go:build !lab

package config

// labBuild says that this build may use halab's simulated parts.
const labBuild = false
