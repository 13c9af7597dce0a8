// Package crd holds the generated CustomResourceDefinitions, for programs that check
// documents without a cluster.
package crd

import "embed"

// Files holds one CRD per file, as `make generate` writes them.
//
//go:embed logsource.dev_*.yaml
var Files embed.FS
