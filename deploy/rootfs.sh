#!/bin/sh
# Lays out the root directory of the container image as a tar archive.
#
# Usage: deploy/rootfs.sh BINARY ARCHIVE
#
# BINARY must be static (deploy/build-static). The certificate authorities for outgoing TLS are this
# machine's, or those in CA_BUNDLE.
set -eu
[ $# = 2 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
umask 022

mkdir -p "$root/bin" "$root/etc/ssl/certs" "$root/var/lib/registry"
cp -R "$here/rootfs/." "$root/"
cp "${CA_BUNDLE:-/etc/ssl/certs/ca-certificates.crt}" "$root/etc/ssl/certs/ca-certificates.crt"
cp "$1" "$root/bin/wharf"
chmod -R u=rwX,go=rX "$root"
chmod 755 "$root/bin/wharf"
mkdir -m 1777 "$root/tmp"
chmod 1777 "$root/tmp"
# The names that Distribution's images have.
ln -s wharf "$root/bin/registry"
ln -s bin/wharf "$root/entrypoint.sh"

# A new volume takes over the owner of the directory; see docs/deploy.md for the user.
tar -C "$root" --sort=name --numeric-owner --owner=0 --group=0 --exclude=./var/lib/registry -cf "$2" .
tar -C "$root" --numeric-owner --owner=65532 --group=65532 -rf "$2" ./var/lib/registry
