#!/bin/sh
# Prints an interpreter that has the Python package of the same contract, terok-sandbox 0.6.0,
# making a virtual environment for it where a python3 and its package index are at hand. Fails,
# saying why, where they are not: the tests that let it judge are skipped then.
#
# The package asks for Python 3.12. What the tests use of it runs on 3.11 as well, Debian 12's.
set -eu
place=${1:?usage: python-package.sh DIRECTORY}
package=terok-sandbox==0.6.0

has_it() {
    "$place/bin/python" -c '
import importlib.metadata as m
import terok_sandbox.vault.store.db, terok_sandbox.vault.ssh.signer
assert m.version("terok-sandbox") == "0.6.0"' 2>/dev/null
}

new_enough() {
    "$1" -c "import sys; sys.exit(sys.version_info < (3, $2))" 2>/dev/null
}

make_it() {
    for version in 12 11; do
        for python in python3 python3.14 python3.13 python3.12 python3.11; do
            new_enough "$python" "$version" || continue
            rm -rf "$place"
            "$python" -m venv "$place" || return
            "$place/bin/pip" install --quiet --retries 1 --ignore-requires-python "$package"
            return
        done
    done
    echo "python package: no python3 of at least 3.11" >&2
    return 1
}

if ! has_it; then
    make_it >&2 || {
        echo "python package: no virtual environment or no package index" >&2
        exit 1
    }
    has_it
fi
echo "$place/bin/python"
