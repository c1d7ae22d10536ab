#!/bin/sh
# Prints an interpreter that has the schemas of the Kubernetes API and an evaluator of its admission
# policies' expressions, making a virtual environment for them where python3 and its package index
# are at hand. Fails, saying why, where they are not: the tests are skipped then.
set -eu
place=${1:?usage: kubernetes.sh DIRECTORY}

has_all() {
    "$place/bin/python" -c 'import celpy, kubernetes_validate' 2>/dev/null
}

if ! has_all; then
    { python3 -m venv "$place" &&
        "$place/bin/pip" install --quiet --retries 1 kubernetes-validate cel-python; } >&2 || {
        echo 'kubernetes: no virtual environment or no package index' >&2
        exit 1
    }
    has_all
fi
echo "$place/bin/python"
