# shellcheck shell=bash disable=SC2154 # variables are those of `operator`
# How things are measured. Every figure becomes a line `fact NAME VALUE`; times are in microseconds
# until then, and medians of all rounds.

microseconds() { printf '%s' "${EPOCHREALTIME/[.,]/}"; }

fact() { printf 'fact %s %s\n' "$1" "$2"; }

note() { printf 'note %s\n' "$1"; }

# timed FILE COMMAND…: appends how long the command took.
timed() {
    local file=$1 began
    shift
    began=$(microseconds)
    "$@" >/dev/null
    echo $(($(microseconds) - began)) >>"$file"
}

median() { sort -n "$@" | awk '{v[NR] = $1} END {print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2}'; }

# A median in milliseconds, to a tenth.
milliseconds() { median "$@" | awk '{printf "%.1f\n", $1 / 1000}'; }

# The leaders of all supervisors' sessions.
supervisors() { head -qn 1 "$TEROK_SANDBOX_STATE_DIR"/pids/*.pid; }

trees() {
    local leader
    for leader in $(supervisors); do
        echo "$leader"
        pgrep -s "$leader" || true
    done | sort -u
}

# Proportional set size of all trees, in KiB: shared pages count once, spread over who shares them.
memory() {
    trees | sed 's,.*,/proc/&/smaps_rollup,' | xargs podman unshare cat |
        awk '/^Pss:/ {sum += $2} END {print sum + 0}'
}

# Processor time of all threads of all trees, in nanoseconds.
processor() {
    local process
    # One that ends in this moment is idle enough.
    for process in $(trees); do cat "/proc/$process"/task/*/schedstat 2>/dev/null || true; done |
        awk '{sum += $1} END {printf "%.0f\n", sum}'
}

mebibytes() { awk -v kib="$1" 'BEGIN {printf "%.1f\n", kib / 1024}'; }

# idle FACT CONTAINERS: processor time per container and minute, in milliseconds.
idle() {
    local before after
    before=$(processor)
    sleep "$idle_seconds"
    after=$(processor)
    fact "$1" "$(awk -v ns=$((after - before)) -v n="$2" -v s="$idle_seconds" \
        'BEGIN {printf "%.1f\n", ns / 1e6 / n * 60 / s}')"
}

# The state that a runtime would send for a stand-in container.
state() { # ID PID
    printf '{"ociVersion":"1.0.2","id":"%s","status":"created","pid":%s,"bundle":"/","annotations":{"terok.sandbox.sidecar":"%s"}}' \
        "$1" "$2" "$sidecar"
}

# hook_alone PREFIX ROUNDS HOOK…: the hook without podman around it, on a sleeping process. Until it
# returns; until a question that needs the vault is answered; at the end, until poststop returns.
hook_alone() {
    local prefix=$1 count=$2 id init began i
    shift 2
    for ((i = 0; i < count; i++)); do
        id=$(od -An -tx1 -N32 /dev/urandom | tr -d ' \n')
        sleep 600 &
        init=$!
        state "$id" "$init" >"$home/state.json"
        began=$(microseconds)
        "$@" createRuntime <"$home/state.json" 2>/dev/null
        echo $(($(microseconds) - began)) >>"$home/$prefix.start"
        # A token that nobody has: the answer takes the key derivation and a look into the vault.
        until [[ $(curl -s -o /dev/null -w '%{http_code}' --unix-socket "$directory/vault/vault.sock" \
            -H 'Authorization: Bearer terok-p-00000000000000000000000000000000' \
            http://localhost/v1/models) == 401 ]]; do :; done
        echo $(($(microseconds) - began)) >>"$home/$prefix.answer"
        kill -KILL "$init"
        wait "$init" 2>/dev/null || true
        state "$id" 0 >"$home/state.json"
        began=$(microseconds)
        "$@" poststop <"$home/state.json" 2>/dev/null
        echo $(($(microseconds) - began)) >>"$home/$prefix.stop"
    done
    fact "$prefix.hook_start" "$(milliseconds "$home/$prefix.start")"
    fact "$prefix.first_answer" "$(milliseconds "$home/$prefix.answer")"
    fact "$prefix.hook_stop" "$(milliseconds "$home/$prefix.stop")"
}

# derivation ROUNDS: what SQLCipher makes of a passphrase, by this machine's OpenSSL alone.
derivation() {
    local i
    for ((i = 0; i < $1; i++)); do
        python3 -c 'import hashlib, time
began = time.perf_counter()
hashlib.pbkdf2_hmac("sha512", b"a passphrase", b"0123456789abcdef", 256000, 32)
print(round((time.perf_counter() - began) * 1e6))' >>"$home/derivation"
    done
    fact derivation "$(milliseconds "$home/derivation")"
}

# turns PREFIX ROUNDS: containers with and without supervisor take turns, and the first turn too, so
# that the machine's moods hit both alike.
turns() {
    local prefix=$1 count=$2 i kind
    podman run --rm --pull=never --network=none "$image" true
    for ((i = 0; i < count; i++)); do
        for kind in $( ((i % 2)) && echo with without || echo without with); do
            turn "$prefix" "$kind"
        done
    done
    for kind in without with; do
        fact "$prefix.run_$kind" "$(milliseconds "$home/$prefix.run_$kind")"
        fact "$prefix.rm_$kind" "$(milliseconds "$home/$prefix.rm_$kind")"
    done
}

turn() { # PREFIX with|without
    local options=(--pull=never --network=none)
    [[ $2 == without ]] || options=("${flags[@]}")
    # The Python package removes it at the end, and podman starts nothing without it.
    mkdir -p "$directory"
    timed "$home/$1.run_$2" podman run --rm "${options[@]}" "$image" true
    mkdir -p "$directory"
    podman run -d --name web "${options[@]}" "$image" sleep 600 >/dev/null
    timed "$home/$1.rm_$2" podman rm -f -t 0 web
}
