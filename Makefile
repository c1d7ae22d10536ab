# The two commands of the README, and what they are made of.

CARGO ?= cargo
RUNTIMES ?= crun runc

.PHONY: release install uninstall archive deb test-deb test-systemd-creds
.PHONY: bench-broker bench-gate bench-signer demo test build prerequisites test-programs test-podman test-runtimes lint bench-lifecycle clean

# The main job on an embedded default, in a temporary directory.
demo: prerequisites release
	tests/podman/demo $(CURDIR)/target/release

# The programs as they are installed and packaged. OpenSSL notes the time it was built at, which is
# SOURCE_DATE_EPOCH where that is set.
release:
	$(CARGO) build --release --locked --package terok-hook --package terok-supervisor \
	    --package vault-keeper --package terok-token-broker --package terok-ssh-signer \
	    --package terok-git-gate --package terok-install

# Man pages, completions and documents too; builds first what is not built, so that this works for
# root without a toolchain after `make release`. Hooks are `terokctl setup`'s, for each user.
PREFIX ?= /usr/local
DESTDIR ?=
PROGRAMS ?= $(CURDIR)/target/release
install:
	@[ -x $(PROGRAMS)/terokctl ] || $(MAKE) release
	packaging/install $(PROGRAMS) $(PREFIX) $(DESTDIR)

uninstall:
	packaging/install --remove $(PREFIX) $(DESTDIR)

# An archive to unpack anywhere, a package for Debian, and SHA256SUMS of both.
PACKAGES ?= $(CURDIR)/target/packages
archive: release
	packaging/archive $(PROGRAMS) $(PACKAGES)

deb: release
	packaging/deb $(PROGRAMS) $(PACKAGES)

# Installs, uses and removes the package on a Debian made for it; root, debootstrap, Debian's mirror.
SUITE ?= bookworm
test-deb: deb
	packaging/try-deb $(PACKAGES)/terok_*.deb $(SUITE)

# The sealed passphrase with a real systemd, of a Debian made for it; needs what test-deb needs.
test-systemd-creds: SUITE = trixie
test-systemd-creds: build
	tests/services/systemd-creds $(CURDIR)/target/debug $(SUITE)

# Everything, on real podman with both runtimes where the machine allows it.
test: prerequisites build test-programs test-podman
	tests/runtimes/suite

prerequisites:
	tests/podman/prerequisites.sh

build:
	$(CARGO) build --workspace --all-targets --locked

# Units and whole programs; nextest where it is installed.
test-programs: build
	@TEROK_TEST_PYTHON_CLIENTS=$$(tests/services/python-clients.sh $(CURDIR)/target/python-clients) \
	    || echo 'skipped: Python clients of the broker'; \
	export TEROK_TEST_PYTHON_CLIENTS; \
	TEROK_TEST_KUBERNETES=$$(tests/docs/kubernetes.sh $(CURDIR)/target/kubernetes) \
	    || echo 'skipped: schemas and policies of Kubernetes'; \
	export TEROK_TEST_KUBERNETES; \
	TEROK_TEST_PYTHON=$${TEROK_TEST_PYTHON:-$$(tests/signer/python-package.sh $(CURDIR)/target/python-package)} \
	    || echo 'skipped: the Python package beside ours'; \
	[ -z "$$TEROK_TEST_PYTHON" ] || export TEROK_TEST_PYTHON; \
	if $(CARGO) nextest --version >/dev/null 2>&1; then \
	    $(CARGO) nextest run --workspace --locked -E 'not (binary(podman) + binary(runtimes))' && \
	    $(CARGO) test --package terok-shared --doc --locked; \
	else \
	    $(CARGO) test --workspace --locked; \
	fi

# Real rootless containers. TEROK_TEST_REQUIRE_PODMAN=1 makes a skip a failure.
test-podman: build
	@for runtime in $(RUNTIMES); do tests/podman/suite $$runtime || exit 1; done

# Every other way to a container, none of it skipped: installs Debian's containerd and Docker too,
# without starting their services. `make test` runs what is there without them.
test-runtimes: prerequisites build
	tests/runtimes/prerequisites.sh
	TEROK_TEST_REQUIRE_RUNTIMES=1 tests/runtimes/suite

# The broker beside Debian's nginx; writes docs/benchmarks/broker.md and its picture.
bench-broker:
	$(CARGO) bench --locked --package terok-token-broker --bench broker

# Parsers of foreign bytes, FUZZ_SECONDS each.
.PHONY: fuzz
FUZZ_SECONDS ?= 60
fuzz:
	fuzz/run $(FUZZ_SECONDS)

# What a supervisor adds to a container's start and end, its memory and idle CPU; writes a table.
bench-lifecycle: prerequisites release
	RUNTIMES="$(RUNTIMES)" tests/bench/lifecycle/run $(CURDIR)/target/release docs/benchmarks/lifecycle.md

# The gate beside file://, git daemon and nginx with fcgiwrap; writes docs/benchmarks/gate.md.
bench-gate:
	tests/bench/gate/prerequisites.sh
	$(CARGO) bench --locked --package terok-git-gate --bench gate

# The signer beside OpenSSH's ssh-agent; writes a table.
bench-signer:
	$(CARGO) build --release --locked --package terok-supervisor --package vault-keeper \
	    --package terok-ssh-signer --package terok-token-broker --package terok-hook \
	    --package terok-git-gate --package terok-install
	TEROK_TEST_PROGRAMS=$(CURDIR)/target/release \
	    $(CARGO) bench --locked --package terok-tests --bench signer

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) deny check bans licenses

clean:
	$(CARGO) clean
