#!/bin/bash
# What the build and the podman suite need from the machine.
#
#   prerequisites.sh
#
# As root on Debian (or a relative with apt): installs what is missing and
# makes the unprivileged user that as-operator runs the suite as. Any other
# way: installs nothing, says what is missing and what would be skipped.
# Prints nothing when there is nothing to do; exit 1 when the build could not
# succeed or an installation failed.
set -euo pipefail

readonly user=terok-test

# Debian package and the program that proves it is there. git by its full
# path: image.sh takes Debian's, whatever else lies in /usr/local.
readonly build=(
    "gcc gcc" # links Rust, compiles SQLCipher
    "make make"
    "perl perl" # configures the bundled OpenSSL
)
readonly plain=(
    "git /usr/bin/git" # the gate's backend and the tests' judge
    "openssh-client ssh-keygen"
    "curl curl"
)
# A host to log in to, which tests start themselves. Not on a machine whose init
# would start it at the next boot.
readonly servers=(
    "openssh-server sshd"
)
readonly podman=(
    "podman podman"
    "crun crun"
    "runc runc"
    "conmon conmon"
    "uidmap newuidmap"
    "slirp4netns slirp4netns"
    "fuse-overlayfs fuse-overlayfs" # where the kernel has no overlay in a user namespace
    "catatonit catatonit"           # process 1 of as-operator's namespace
    "busybox-static busybox"
    "socat socat" # bridges of the test image, see terok-bridge
    "ca-certificates /etc/ssl/certs/ca-certificates.crt"
)
# A container network of its own kind; older distributions lack it.
readonly networks=(
    "passt pasta"
)

# An unprivileged user's PATH leaves out the folders of some of these.
PATH=$PATH:/usr/sbin:/sbin:/usr/libexec/podman

present() {
    [[ $1 == /* ]] && { [[ -e $1 ]]; return; }
    type -P "$1" >/dev/null
}

# Packages of the given list whose program is not there, one per line.
missing() {
    local entry package program
    for entry in "$@"; do
        read -r package program <<<"$entry"
        present "$program" || printf '%s\n' "$package"
    done
}

install_missing() {
    local packages
    mapfile -t packages < <(missing "${build[@]}" "${plain[@]}" "${podman[@]}")
    [[ -d /run/systemd/system ]] || mapfile -t -O "${#packages[@]}" packages < <(missing "${servers[@]}")
    mapfile -t -O "${#packages[@]}" packages < <(offered "${networks[@]}")
    ((${#packages[@]})) || return 0
    printf 'prerequisites: installing %s\n' "${packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get -q update
    without_services apt-get -q install -y --no-install-recommends "${packages[@]}"
}

# Those of the missing ones that the distribution has.
offered() {
    local package
    for package in $(missing "$@"); do
        ! apt-cache show "$package" >/dev/null 2>&1 || printf '%s\n' "$package"
    done
}

# Runs a command that installs packages, none of which may start a service:
# invoke-rc.d(8) asks /usr/sbin/policy-rc.d, and 101 forbids.
without_services() {
    local policy=/usr/sbin/policy-rc.d status=0
    [[ ! -e $policy ]] || { "$@"; return; }
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 0755 "$policy"
    "$@" || status=$?
    rm "$policy"
    return "$status"
}

# Adds a range to /etc/subuid or /etc/subgid for a user that useradd gave
# none, behind every range that is handed out already.
give_sub_ids() {
    local file=$1 option=$2 start
    [[ -f $file ]] || : >"$file"
    grep -q "^$user:" "$file" && return
    start=$(awk -F: 'BEGIN { end = 100000 } $2 + $3 > end { end = $2 + $3 } END { print end }' "$file")
    usermod "$option" "$start-$((start + 65535))" "$user"
}

make_user() {
    if ! id -u "$user" >/dev/null 2>&1; then
        printf 'prerequisites: adding the user %s\n' "$user"
        useradd --create-home --shell /bin/bash "$user"
    fi
    give_sub_ids /etc/subuid --add-subuids
    give_sub_ids /etc/subgid --add-subgids
    local uid runtime_dir
    uid=$(id -u "$user")
    runtime_dir=/run/user/$uid
    [[ -d $runtime_dir ]] || install -d -m 0700 -o "$user" -g "$(id -gn "$user")" "$runtime_dir"
}

# udev gives these two to everybody; a machine without udev leaves them to root.
open_devices() {
    local device
    for device in /dev/net/tun /dev/fuse; do
        [[ ! -c $device || $(stat -c %a "$device") == 666 ]] || chmod 0666 "$device"
    done
}

# Says what is missing. An unprivileged user can do no more about it.
report() {
    local for_build for_tests for_podman
    mapfile -t for_build < <(missing "${build[@]}")
    mapfile -t for_tests < <(missing "${plain[@]}" "${servers[@]}")
    mapfile -t for_podman < <(missing "${podman[@]}")
    local all=("${for_build[@]}" "${for_tests[@]}" "${for_podman[@]}")

    ((${#for_tests[@]} == 0)) || printf 'prerequisites: skipped, tests that use %s\n' "${for_tests[*]}"
    ((${#for_podman[@]} == 0)) || printf 'prerequisites: skipped, real containers: no %s\n' "${for_podman[*]}"
    if ((EUID != 0)) && ! grep -qE "^($(id -un)|$EUID):" /etc/subuid 2>/dev/null; then
        printf 'prerequisites: skipped, real containers: %s has no range in /etc/subuid\n' "$(id -un)"
        printf 'hint: sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 %s\n' "$(id -un)"
    fi
    if ((${#all[@]})); then
        printf 'hint: sudo apt-get install --no-install-recommends %s\n' "${all[*]}"
    fi
    if ((${#for_build[@]})); then
        printf 'prerequisites: the build needs %s\n' "${for_build[*]}" >&2
        return 1
    fi
}

if ((EUID == 0)) && type -P apt-get >/dev/null; then
    install_missing
    make_user
    open_devices
else
    report
fi
