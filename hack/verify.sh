#!/usr/bin/env bash
# verify.sh: what a reviewer would complain about. Ends with 1 at the first thing that is not as it should be.
set -euo pipefail
cd "$(dirname "$0")/.."
govulncheck=golang.org/x/vuln/cmd/govulncheck@v1.9.0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
staticcheck=honnef.co/go/tools/cmd/staticcheck@v0.8.2

step() { echo "verify: $*" >&2; }
# unchanged WHAT: has the step before changed anything that git sees?
before=$(git status --porcelain; git diff | sha256sum)
unchanged() {
  [ "$before" = "$(git status --porcelain; git diff | sha256sum)" ] || {
    git --no-pager diff --stat
    echo "verify: $1" >&2
    exit 1
  }
}

step "generated files"
hack/generate.sh
unchanged "generated files were not up to date; commit what make generate has just written"
step "go.mod, go.sum"
for module in . hack/tools; do (cd "$module" && go mod tidy -diff); done
step "gofmt"
mapfile -t files < <(git ls-files --cached --others --exclude-standard '*.go')
wrong=$(gofmt -l "${files[@]}")
[ -z "$wrong" ] || { echo "verify: gofmt -w $wrong" >&2; exit 1; }
step "go vet"
go vet ./...
go vet -tags e2e ./hack/e2e/...
step "staticcheck"
go run "$staticcheck" ./...
step "known vulnerabilities"
GOBIN=$scratch go install "$govulncheck"
if ! "$scratch/govulncheck" ./... >"$scratch/vulnerabilities" 2>&1; then
  # only a database that cannot be reached is forgiven, and said
  grep -q 'fetching vulnerabilities' "$scratch/vulnerabilities" || { cat "$scratch/vulnerabilities"; exit 1; }
  echo "verify: LEFT OUT: the vulnerability database is not reachable from here" >&2
fi
step "shell scripts"
for script in $(git ls-files '*.sh' .ci/run); do bash -n "$script"; done
step "no file over 1 MB"
git ls-files -z | xargs -0 -r stat -c '%s %n' | awk '$1 > 1000000 {print; found = 1} END {exit found}'
step "all well"
