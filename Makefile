# The two commands of the README, and what they are made of.

CARGO ?= cargo
RUNTIMES ?= crun runc

.PHONY: demo test build prerequisites test-programs test-podman lint bench-lifecycle clean

# The main job on an embedded default, in a temporary directory.
demo: prerequisites
	$(CARGO) build --release --locked --package terok-hook --package terok-supervisor \
	    --package vault-keeper --package terok-token-broker --package terok-ssh-signer \
	    --package terok-git-gate --package terok-install
	tests/podman/demo $(CURDIR)/target/release

# Everything, on real podman with both runtimes where the machine allows it.
test: prerequisites build test-programs test-podman

prerequisites:
	tests/podman/prerequisites.sh

build:
	$(CARGO) build --workspace --all-targets --locked

# Units and whole programs; nextest where it is installed.
test-programs: build
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
	    $(CARGO) nextest run --workspace --locked -E 'not binary(podman)'; \
	else \
	    $(CARGO) test --workspace --locked; \
	fi

# Real rootless containers. TEROK_TEST_REQUIRE_PODMAN=1 makes a skip a failure.
test-podman: build
	@for runtime in $(RUNTIMES); do tests/podman/suite $$runtime || exit 1; done

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) deny check bans licenses

clean:
	$(CARGO) clean
