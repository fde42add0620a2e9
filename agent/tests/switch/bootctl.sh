#!/bin/sh
# bootctl, as far as a trial asks it; entries are what `switch-to-configuration boot` has written.
set -e
case $1 in
list)
    printf '['
    for entry in /boot/entries/*; do
        printf '%s{"type":"type1","id":"%s","options":"init=%s/init quiet"}' "$comma" "$(basename "$entry")" "$(cat "$entry")"
        comma=,
    done
    printf ']\n'
    ;;
set-oneshot) printf '%s' "$2" > /boot/oneshot ;;
*) exit 1 ;;
esac
