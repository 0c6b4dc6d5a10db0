# Leafcutter: make demo, make test, make install. See README.md.

SWIFT ?= swift
CLI := .build/release/leafcutter
# Tests link the Swift libraries dynamically and have a build folder of their own.
TESTS := .build/tests
# The C library, and where `make install` puts it and the command.
LIBRARY := .build/library
WHEELS := .build/wheels
PREFIX ?= /usr/local

.PHONY: all deps build library install uninstall demo demo-10b bench bench-10b test test-sanitizers fuzz tidy verify-checkpoint format lint clean

all: build

# Installs what is missing with apt; does nothing when all is there.
deps:
	@Scripts/install-dependencies

# One file that needs no Swift on the machine it runs on.
build: deps
	$(SWIFT) build -c release --static-swift-stdlib --product leafcutter

# libleafcutter.so.1, with the Swift runtime inside, of the same objects as the command.
library: build
	$(SWIFT) build -c release --static-swift-stdlib --product LeafC
	@Scripts/link-library .build/release $(LIBRARY)/libleafcutter.so.1

install: library
	@Scripts/install-library $(LIBRARY) "$(DESTDIR)" "$(PREFIX)"
	install -D -m 755 $(CLI) "$(DESTDIR)$(PREFIX)/bin/leafcutter"

uninstall:
	@Scripts/install-library --remove "$(DESTDIR)" "$(PREFIX)"
	rm -f "$(DESTDIR)$(PREFIX)/bin/leafcutter"

demo: build
	@Scripts/demo $(CLI)

# Makes a model of 10 billion parameters, 9.4 GB, runs it in 512 MiB, and removes it; KEEP=1 or FILE=... keeps it.
demo-10b: build
	@Scripts/demo-10b $(CLI) $(FILE)

# Figures that need no large file: kernels beside the machine's limits, and the demo model by memory.
bench: build
	$(MAKE) -C Benchmarks/kernels
	@Scripts/demo $(CLI) > /dev/null 2>&1
	$(CLI) bench .build/demo/demo.leaf --memory 64MiB,96MiB,256MiB

# Figures of the 10B shape, and the picture in the README: an hour, 25 GB of disk.
bench-10b: build
	@Scripts/bench-10b $(CLI)

# All tests. Those of the doors (the page, HTTP, C, Python) run beside the Swift tests.
test: library
	@Scripts/install-dependencies --tests
	@SWIFT="$(SWIFT)" Scripts/test "$(CURDIR)/$(CLI)" $(LIBRARY) $(WHEELS) $(TESTS)

# Unit tests with assertions and under the thread, address and undefined-behaviour sanitizers: half an hour.
test-sanitizers:
	@Scripts/install-dependencies --tests
	SWIFT="$(SWIFT)" Scripts/test-sanitizers $(CHECKS)

# Feeds broken files and bodies to every reader: SECONDS a reader (60), TARGETS="pickle zip" for some. Crashes stay in .build/fuzz.
fuzz: build
	LEAFCUTTER_BIN="$(CURDIR)/$(CLI)" SWIFT="$(SWIFT)" Scripts/fuzz $(or $(SECONDS),60) $(TARGETS)

# The Python package with the library inside, for every Python from 3.9 on.
.PHONY: wheel test-python
wheel: library
	@Scripts/make-wheel $(LIBRARY)/libleafcutter.so.1 $(WHEELS)

# The wheel in a virtual environment of its own. LM_EVAL=1 also runs lm-evaluation-harness, RAY_SERVE=1 Ray Serve.
test-python: library
	@LEAFCUTTER_BIN="$(CURDIR)/$(CLI)" Scripts/test-python $(LIBRARY)/libleafcutter.so.1 $(WHEELS)

# The server, with OpenAI's clients (LM_EVAL=1: and lm-evaluation-harness); the page, in Chromium.
.PHONY: test-server test-page
test-server: build
	@LEAFCUTTER_BIN="$(CURDIR)/$(CLI)" Scripts/test-server

test-page: build
	@LEAFCUTTER_BIN="$(CURDIR)/$(CLI)" Scripts/test-page

# What the compiler does not check.
tidy:
	@Scripts/tidy

# For whoever has CPM-Ant's 10B weights: checks CHECKPOINT by the values that were published of them. WEIGHTS=f32 for the
# exact comparison, MEMORY=4GiB for a budget, MODEL=FILE.leaf to keep the converted model.
verify-checkpoint: build
	@test -n "$(CHECKPOINT)" || { echo "CHECKPOINT=... is missing: a folder, a .pt or a .leaf file" >&2; exit 2; }
	@Scripts/verify-checkpoint $(CLI) "$(CHECKPOINT)" $(if $(WEIGHTS),--weights $(WEIGHTS)) \
		$(if $(MEMORY),--memory $(MEMORY)) $(if $(MODEL),--model "$(MODEL)")

format:
	$(SWIFT) format --in-place --recursive Sources Tests Examples Package.swift

lint:
	$(SWIFT) format lint --strict --recursive Sources Tests Examples Package.swift

clean:
	rm -rf .build
