#!/bin/sh
# Prints an interpreter that has the real clients the broker is tested with, making a virtual
# environment for them where python3 and its package index are at hand. Fails, saying why, where
# they are not: the test is skipped then.
set -eu
place=${1:?usage: python-clients.sh DIRECTORY}
packages='aiohttp websockets httpx openai anthropic'

has_all() {
    "$place/bin/python" -c "import $(echo "$packages" | sed 's/ /, /g')" 2>/dev/null
}

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
