# Everything runs on the Node that package-lock.json pins; bin/node installs what the lock file names when need be.
#   TARGET=local|kind        where: `up` chooses by itself when not given, `down` and `status` mean the local run
#   MESH=istio|linkerd|none  which mesh, on a cluster
#   SYSTEM=FILE              another system than mesh/shop.ts
#   ROW=6                    one row of the demo, or some: ROW=6,7; JSON=1 for machines
.DEFAULT_GOAL := help
.PHONY: up down status logs check demo render test bench lint typecheck clean help

system := $(if $(SYSTEM),--system '$(SYSTEM)')

up: ## start the system, and say where it is reached
	@bin/parley up $(if $(TARGET),--target '$(TARGET)') $(if $(MESH),--mesh '$(MESH)') $(system)

down: ## stop it; TARGET=kind deletes the cluster
	@bin/parley down $(if $(TARGET),--target '$(TARGET)') $(if $(filter kind,$(TARGET)),,$(system))

status: ## show each process, or with TARGET=kind the cluster beside the declaration
	@bin/parley status $(if $(TARGET),--target '$(TARGET)') $(system)

logs: ## show what the processes say
	@bin/parley logs $(system)

check: ## hold the declaration against the rules
	@bin/parley check $(system)

demo: ## show every pattern on the running shop (ROW=6 for one, JSON=1 for machines)
	@bin/node demo/main.ts $(if $(ROW),--row '$(ROW)') $(if $(JSON),--json)

render: ## write the Kubernetes objects, what GitOps controllers apply, and the Helm chart
	@bin/parley render

test: ## types, style, unit, local and cluster tests (ONLY=static|unit|local|cluster for a part)
	@$(if $(filter static unit cluster,$(ONLY)),,bin/node mesh/local/toolchain/main.ts bring)
	@bin/node test/run.ts $(ONLY)

bench: ## measure, and print the figures: make bench > bench/RESULTS.md (ONLY=hop|shop|… for a part)
	@bin/node mesh/local/toolchain/main.ts bring
	@bin/node bench/run.ts $(ONLY)

lint: ## style and format
	@bin/node node_modules/@biomejs/biome/bin/biome check .

typecheck: ## the compiler
	@bin/node node_modules/typescript/bin/tsc --noEmit

clean: ## stop every run, then remove all state and the fetched tools
	@bin/parley down --all
	@rm -rf .parley
	@NODE_DISABLE_COMPILE_CACHE=1 bin/node mesh/local/clean/main.ts

help: ## show this
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
