# Everything a developer does. Needs Go and a C compiler; what else is needed is built or installed.

VERSION ?= dev
IMAGE   ?= ghcr.io/logsource/operator:$(VERSION)
export LOGSOURCE_SCALE ?= 1

.PHONY: help run test e2e bench soak generate verify build image clean

help: ## This list
	@sed -n 's/^\([a-z0-9]*\):.*## /\1 \t/p' $(MAKEFILE_LIST) | expand -t 12

run: ## Two sample sources on this machine, no cluster; Ctrl-C drains and shows the ledger
	@go build -o bin/ ./cmd/collector ./hack/demo
	@exec bin/demo bin/collector run -f config/samples/local

test: ## Every test but e2e, with the race detector, a real API server and some fuzzing
	@hack/fuzz.sh
	@hack/test.sh ./...

e2e: ## On a real cluster: the one of KUBECONFIG, else kind, else hack/cluster
	@hack/e2e/run.sh

bench: ## The benchmarks
	go test -run '^$$' -bench . -benchmem ./collector/... ./drivers/...

soak: ## Fuzzing and the tests again, much longer: some hours
	@LOGSOURCE_SCALE=50 hack/fuzz.sh
	@LOGSOURCE_SCALE=50 hack/test.sh -timeout 6h ./...

generate: ## Write what is derived from Go code and comments
	@hack/generate.sh

verify: ## What a reviewer would complain about: generated files, format, vet, staticcheck, go.mod
	@hack/verify.sh

build: ## The manager and the collector, in bin/
	@VERSION=$(VERSION) hack/build.sh bin

image: ## The image as bin/image.tar, without docker
	@VERSION=$(VERSION) hack/image.sh $(IMAGE) bin/image.tar

clean: ## Remove what was built here; the cluster's programs stay in the cache
	@hack/cluster/down.sh
	rm -rf bin
