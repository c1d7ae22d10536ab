#!/bin/bash
# Makes the container images of the test suite out of the host's own programs;
# no network, no registry.
#
#   image.sh DIR
#
# localhost/terok-test:full     bash, curl, git, ssh, ssh-add, ssh-keygen, socat,
#                               terok-bridge, busybox for the rest
# localhost/terok-test:busybox  one static program
# localhost/terok-test:bare     curl, git and ssh with their libraries, and nothing
#                               else: no shell, no socat, no busybox
#
# Run it as the user whose podman gets the images; as root it hands itself to
# as-operator and makes DIR for that user unless it is there. DIR keeps the
# archives, such as full.tar. An image whose label tells that it came
# from the same archive is left alone.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
(($# == 1)) || { printf 'usage: image.sh DIR\n' >&2; exit 2; }
if ((EUID == 0)) && [[ ! -d $1 ]]; then
    install -d -o terok-test "$1"
fi
mkdir -p "$1"
dir=$(cd "$1" && pwd)

readonly digest_label=terok.test.archive
# cat too: busybox's copies a socket with sendfile, which newer kernels answer
# only when its whole buffer is full, so a bridged request would never arrive.
readonly programs=(bash cat curl git ssh ssh-add ssh-keygen ssh-keyscan socat)
# Debian's git, not one that lies in /usr/local: its helper programs come along.
PATH=/usr/bin:/bin:/usr/sbin:/sbin

# Directories with merged /usr, and who the users are.
skeleton() {
    local root=$1 name
    mkdir -p "$root"/{usr/{bin,sbin,lib,lib64,local/bin},etc,root,tmp,var/tmp,proc,sys,dev,run}
    chmod 1777 "$root"/tmp "$root"/var/tmp
    for name in bin sbin lib lib64; do ln -s "usr/$name" "$root/$name"; done
    printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$root/etc/passwd"
    printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
    printf 'passwd: files\ngroup: files\nhosts: files dns\n' >"$root/etc/nsswitch.conf"
}

# The same, and busybox under each of its names.
base() {
    local root=$1 name
    skeleton "$root"
    with_libraries "$root" "$(type -P busybox)" /usr/bin/busybox
    for name in $(busybox --list); do
        [[ $name == busybox ]] || ln -s busybox "$root/usr/bin/$name"
    done
}

# Copies a file to the same place in the root, or to the one named, and the
# libraries that it is linked to. A static program has none: ldd fails.
with_libraries() {
    local root=$1 file=$2 to=${3-$2} library
    install -D "$file" "$root$to"
    for library in $(ldd "$file" 2>/dev/null | grep -o '/[^ ]*'); do
        [[ -e $root$library ]] || install -D "$library" "$root$library"
    done
}

full() {
    local root=$1 program
    base "$root"
    for program in "${programs[@]}"; do
        rm -f "$root/usr/bin/$program"
        with_libraries "$root" "$(type -P "$program")" "/usr/bin/$program"
    done
    ln -sf bash "$root/usr/bin/sh"
    git_over_http "$root"
    install -m 0755 "$here/terok-bridge" "$root/usr/local/bin/terok-bridge"
}

bare() {
    local root=$1 program
    skeleton "$root"
    for program in curl git ssh ssh-add ssh-keygen; do
        with_libraries "$root" "$(type -P "$program")" "/usr/bin/$program"
    done
    git_over_http "$root"
}

git_over_http() {
    local root=$1
    # git looks for its HTTP client below its exec path, in two names.
    local git_core
    git_core=$(git --exec-path)
    with_libraries "$root" "$git_core/git-remote-http"
    ln -s git-remote-http "$root$git_core/git-remote-https"
    mkdir -p "$root/usr/share/git-core/templates" # git init warns without

    install -D -m 0644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
}

# The same files give the same archive, byte for byte.
archive() {
    tar --create --file "$2" --directory "$1" --sort=name --mtime=@0 \
        --owner=0 --group=0 --numeric-owner .
}

import() {
    local image=$1 archive=$2 digest have
    digest=$(sha256sum "$archive" | cut -d' ' -f1)
    have=$(podman image inspect --format "{{index .Labels \"$digest_label\"}}" "$image" 2>/dev/null) || true
    [[ $have != "$digest" ]] || return 0
    podman import --quiet --change "LABEL $digest_label=$digest" "$archive" "$image" >/dev/null
    podman image prune --force >/dev/null # what the name pointed to before
}

if ((EUID == 0)); then
    # The operator need not be able to read the checkout: it gets copies.
    copies=$(mktemp -d)
    trap 'rm -rf "$copies"' EXIT
    chmod 0755 "$copies"
    install -m 0755 "$here/image.sh" "$here/terok-bridge" "$copies"
    "$here/as-operator" crun -- "$copies/image.sh" "$dir"
    exit
fi

work=$(mktemp -d "$dir/root.XXXXXX")
trap 'rm -rf "$work"' EXIT
for variant in full busybox bare; do
    case $variant in
        full | bare) "$variant" "$work/$variant" ;;
        busybox) base "$work/busybox" ;;
    esac
    archive "$work/$variant" "$dir/$variant.tar"
    import "localhost/terok-test:$variant" "$dir/$variant.tar"
done
