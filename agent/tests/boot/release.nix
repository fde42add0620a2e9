# A system as small as one can be that a machine boots: its first process, what it does before systemd, and the entries of the
# boot loader, as NixOS writes them.
{
  name,
  early ? "",
  words ? "",
}:
derivation {
  inherit name early words;
  system = builtins.currentSystem;
  init = ''
    #!/bin/sh
    system=$(dirname "$(readlink -f "$0")")
    ln -sfn "$system" /run/booted-system
    ln -sfn "$system" /run/current-system
    . "$system/early"
    exec /usr/lib/systemd/systemd "$@"
  '';
  switch = ''
    #!/bin/sh
    set -e
    system=$(dirname "$(dirname "$(readlink -f "$0")")")
    case $1 in boot | switch)
      rm -f /boot/loader/entries/nixos-*.conf
      for link in /nix/var/nix/profiles/system-*-link; do
        number=''${link#*/system-}; number=''${number%-link}
        to=$(readlink "$link")
        printf 'title NixOS %s\nlinux /debian/linux\ninitrd /debian/initrd\noptions %s init=%s/init %s\n' "$number" \
          "$(cat /etc/kernel-words)" "$to" "$(cat "$to/kernel-params")" > "/boot/loader/entries/nixos-$number.conf"
        if [ "$to" = "$system" ]; then default=nixos-$number.conf; fi
      done
      sync
      printf 'timeout 0\ndefault %s\n' "$default" > /boot/loader/loader.new
      sync
      mv /boot/loader/loader.new /boot/loader/loader.conf
      sync
    esac
    case $1 in test | switch) ln -sfn "$system" /run/current-system;; esac
  '';
  builder = "/bin/sh";
  args = [
    "-c"
    ''
      PATH=/usr/bin:/bin
      mkdir -p $out/bin $out/etc/systemd/system
      printf '%s' "$switch" > $out/bin/switch-to-configuration
      printf '%s' "$init" > $out/init
      chmod +x $out/bin/switch-to-configuration $out/init
      touch $out/etc/systemd/system/reelmill-deadman.service
      printf '%s\n' "$early" > $out/early
      printf '%s' "$words" > $out/kernel-params
    ''
  ];
}
