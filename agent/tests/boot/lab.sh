#!/bin/sh
# The node's Nix: `lab install` makes the first system, `lab release NAME [--argstr X Y ...]` one that only the cache has.
set -e
nix() { command nix --extra-experimental-features nix-command "$@"; }
build() { name=$1; shift; nix-build --no-out-link /usr/lib/lab/release.nix --argstr name "$name" "$@" 2>> /var/lib/lab.log; }
case $1 in
install)
    nix key generate-secret --key-name lab-1 > /root/key
    printf 'trusted-public-keys = %s\n' "$(nix key convert-secret-to-public < /root/key)" >> /etc/nix/nix.conf
    system=$(build old)
    nix-env --profile /nix/var/nix/profiles/system --set "$system" 2>> /var/lib/lab.log
    "$system/bin/switch-to-configuration" boot
    ;;
release)
    shift
    system=$(build "$@")
    nix store sign --key-file /root/key --recursive "$system"
    nix copy --to file:///cache "$system"
    hash=$(nix hash path --sri --type sha256 "$system")
    nix-store --delete "$system" > /dev/null 2>&1
    sync
    echo "$system" "$hash"
    ;;
esac
