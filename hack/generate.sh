#!/usr/bin/env bash
# Writes everything in this repository that is derived from Go code. Needs only Go.
# Running it twice changes nothing; CI runs it and fails on a dirty tree.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT

# From types: deep copies, CRDs, the options of the drivers.
go build -C hack/tools -o "$bin/generate" ./generate
"$bin/generate"

# From drivers and rules: DriverClass objects, the admission policy, the chart's copies.
go run ./hack/objects

# From the chart's values and the manager's role: the schema of the values, the chart's copy.
go run ./hack/chart
