#!/bin/bash
# Makes a container's root directory out of the host's own programs: a static
# busybox under each of its names, and curl with the libraries it is linked to.
#
#   rootfs.sh DIR
#
# No network, no registry. Exit 3 when the host lacks one of the two.
set -euo pipefail
(($# == 1)) || { printf 'usage: rootfs.sh DIR\n' >&2; exit 2; }
root=$1
PATH=/usr/bin:/bin:/usr/sbin:/sbin

for program in busybox curl; do
    type -P "$program" >/dev/null || { printf 'rootfs.sh: no %s\n' "$program" >&2; exit 3; }
done

mkdir -p "$root"/{usr/bin,etc,proc,sys,dev,run/terok,tmp,root}
ln -s usr/bin "$root/bin"
printf 'root:x:0:0:root:/root:/bin/sh\n' >"$root/etc/passwd"
printf 'root:x:0:\n' >"$root/etc/group"

install "$(type -P busybox)" "$root/usr/bin/busybox"
for name in $(busybox --list); do
    [[ $name == busybox ]] || ln -s busybox "$root/usr/bin/$name"
done
rm -f "$root/usr/bin/curl"
install "$(type -P curl)" "$root/usr/bin/curl"
for library in $(ldd "$root/usr/bin/curl" | grep -o '/[^ ]*'); do
    install -D "$library" "$root$library"
done
