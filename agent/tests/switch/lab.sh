#!/bin/sh
# The node's Nix: `lab install` makes the first system, `lab release NAME [--argstr X Y ...]` one that only the cache has.
set -e
exec 2> /run/lab.log
set -x
nix() { command nix --extra-experimental-features nix-command "$@"; }
build() { name=$1; shift; nix-build --no-out-link /usr/lib/lab/release.nix --argstr name "$name" "$@"; }
case $1 in
install)
    nix key generate-secret --key-name lab-1 > /root/key
    printf 'trusted-public-keys = %s\n' "$(nix key convert-secret-to-public < /root/key)" >> /etc/nix/nix.conf
    shift
    system=$(build old "$@")
    nix-env --profile /nix/var/nix/profiles/system --set "$system"
    "$system/bin/switch-to-configuration" switch
    ln -sfn "$system" /run/booted-system
    echo "$system"
    ;;
release | unsigned)
    how=$1
    shift
    system=$(build "$@")
    [ "$how" = unsigned ] || nix store sign --key-file /root/key --recursive "$system"
    nix copy --to file:///cache "$system"
    nix hash path --sri --type sha256 "$system" > /run/lab-hash
    nix-store --delete "$system" > /dev/null
    echo "$system" "$(cat /run/lab-hash)"
    ;;
local)
    shift
    build "$@"
    ;;
boot)
    # What firmware, boot loader and the first stage do.
    [ -e /boot/default ] || exit 0
    system=$(cat /boot/default)
    if [ -s /boot/oneshot ]; then system=$(cat "/boot/entries/$(cat /boot/oneshot)"); fi
    rm -f /boot/oneshot
    ln -sfn "$system" /run/booted-system
    ln -sfn "$system" /run/current-system
    . "$system/activate"
    ;;
esac
