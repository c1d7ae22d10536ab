# shellcheck shell=bash disable=SC2154 # variables are those of `operator`
# The same measurements for the Python package terok-sandbox: its hooks in the place of ours, on the
# same sidecars, vault and containers.

# Puts its two descriptors where podman looks for ours, and its scripts below the same state root.
python_install() {
    "$TEROK_TEST_PYTHON" - "$TEROK_SANDBOX_STATE_DIR" "$home/python-hooks" <<'END'
import sys
from pathlib import Path
from terok_sandbox.supervisor import install

# The hooks directory is registered already.
install.ensure_user_hooks_dir_configured = lambda directory: None
install.install_supervisor_hooks(root=Path(sys.argv[1]), hooks_dir=Path(sys.argv[2]))
END
    rm "$TEROK_SANDBOX_STATE_DIR"/hooks/terok*.json
    cp "$home"/python-hooks/*.json "$TEROK_SANDBOX_STATE_DIR/hooks/"
}

# Until the services of all have answered: they get ready behind podman's back.
python_settle() { # NAME…
    local name
    for name in "$@"; do
        until curl -sf -o /dev/null --unix-socket "$XDG_RUNTIME_DIR/terok/sandbox/run/$name/vault/vault.sock" \
            http://localhost/-/health; do sleep 0.1; done
    done
    sleep 2
}

python_package() {
    local count=$((rounds < 5 ? rounds : 5)) first all
    if [[ ! ${TEROK_TEST_PYTHON-} ]] || ! "$TEROK_TEST_PYTHON" -c 'import terok_sandbox.config' 2>/dev/null; then
        note "The Python package was not measured: no Python 3.12 that has it (TEROK_TEST_PYTHON)."
        return 0
    fi
    "$ctl" uninstall >/dev/null
    "$ctl" setup >/dev/null
    python_install
    fact python.version "$("$TEROK_TEST_PYTHON" -c 'import importlib.metadata as m, platform
print(m.version("terok-sandbox"), "on", platform.python_version())')"
    prepare web
    hook_alone python "$count" "$TEROK_TEST_PYTHON" -I "$TEROK_SANDBOX_STATE_DIR/hooks/supervisor_hook.py"
    turns python "$count"
    "$ctl" cleanup web >/dev/null
    start_many one- "$home/few" 1 ''
    python_settle one-1
    first=$(memory)
    end_many one- 1
    start_many few- "$home/few" 3 ''
    python_settle few-1 few-2 few-3
    all=$(memory)
    fact python.memory_first "$(mebibytes "$first")"
    fact python.memory_further "$(mebibytes $(((all - first) / 2)))"
    idle python.idle 3
    end_many few- 3
}
