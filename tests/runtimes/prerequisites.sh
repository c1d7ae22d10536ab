#!/bin/bash
# What tests/runtimes needs beyond tests/podman: Debian's containerd and Docker, a service
# manager for units, and kubectl.
#
#   prerequisites.sh
#
# As root on Debian (or a relative with apt): installs what is missing, and keeps
# the packages from starting their services, because the tests start their own.
# Any other way: installs nothing and says what is missing.
set -euo pipefail

# Debian package and the program that proves it is there.
readonly wanted=(
    "containerd /usr/bin/containerd"
    "docker.io /usr/sbin/dockerd"
    "runc /usr/sbin/runc"
    "crun /usr/bin/crun"
    "busybox-static /usr/bin/busybox"
    "curl /usr/bin/curl"
    "systemd /lib/systemd/systemd"
    "kubernetes-client /usr/bin/kubectl"
)

packages=()
for entry in "${wanted[@]}"; do
    read -r package program <<<"$entry"
    [[ -e $program ]] || packages+=("$package")
done
((${#packages[@]})) || exit 0

if ((EUID != 0)) || ! type -P apt-get >/dev/null; then
    printf 'prerequisites: skipped, tests that use %s\n' "${packages[*]}"
    printf 'hint: sudo apt-get install --no-install-recommends %s\n' "${packages[*]}"
    exit 0
fi

printf 'prerequisites: installing %s\n' "${packages[*]}"
# invoke-rc.d asks this program first; 101 means no (invoke-rc.d(8)).
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 0755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
apt-get -q install -y --no-install-recommends "${packages[@]}"
