#!/bin/sh
# Prints an interpreter that has the real clients the broker is tested with, making a virtual
# environment for them where python3 and its package index are at hand. Fails, saying why, where
# they are not: the test is skipped then. As root on Debian it installs what python3 lacks for that,
# and gh, which has a test of its own.
set -eu
place=${1:?usage: python-clients.sh DIRECTORY}
packages='aiohttp websockets httpx openai anthropic'

has_all() {
    "$place/bin/python" -c "import $(echo "$packages" | sed 's/ /, /g')" 2>/dev/null
}

lacking=
command -v gh >/dev/null || lacking=gh
python3 -c 'import ensurepip' 2>/dev/null || lacking="$lacking python3-venv"
if [ -n "$lacking" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    { apt-get -q update && apt-get -q install -y --no-install-recommends $lacking; } >&2 ||
        echo "clients: could not install $lacking" >&2
fi

if ! has_all; then
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null || {
        echo "python clients: no python3 of at least 3.9" >&2
        exit 1
    }
    { python3 -m venv "$place" && "$place/bin/pip" install --quiet --retries 1 $packages; } >&2 || {
        echo "python clients: no virtual environment or no package index" >&2
        exit 1
    }
    has_all
fi
echo "$place/bin/python"
