#!/bin/sh
# What the gate is measured beside: nginx and fcgiwrap. As root on Debian they
# are installed when they are missing; their services are not started.
set -eu

missing=
for program in git nginx fcgiwrap; do
    PATH="$PATH:/usr/sbin" command -v "$program" >/dev/null || missing="$missing $program"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "bench-gate needs:$missing" >&2
    exit 1
fi
# Keeps the packages from starting what nobody here asked for.
policy=/usr/sbin/policy-rc.d
[ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod +x "$policy"; made=1; }
DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
[ -z "${made:-}" ] || rm -f "$policy"
