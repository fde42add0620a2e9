# A system as small as one can be: its script, what it does when it comes into force, and what a boot needs.
{
  name,
  activate ? "",
  checks ? "exit 0",
  kernel ? "k1",
  script ? "yes",
  deadman ? "yes",
}:
derivation {
  inherit name activate checks kernel script deadman;
  system = builtins.currentSystem;
  switch = ''
    #!/bin/sh
    # What NixOS does, as far as a trial looks at it.
    set -e
    system=$(dirname "$(dirname "$(readlink -f "$0")")")
    name=''${system#*-}
    lock=/run/nixos/switch-to-configuration.lock
    if [ -z "$locked" ]; then
      mkdir -p /run/nixos
      locked=yes exec flock --nonblock $lock "$0" "$@"
    fi
    wait_at() { if [ -e "/run/gate-$1" ]; then touch "/run/at-$1"; while [ -e "/run/gate-$1" ]; do sleep 0.1; done; fi; }
    wait_at "$name-$1"
    case $1 in boot | switch)
      mkdir -p /boot/entries
      rm -f /boot/entries/*
      for link in /nix/var/nix/profiles/system-*-link; do
        readlink "$link" > "/boot/entries/$(basename "$link").conf"
      done
      echo "$system" > /boot/default.new
      mv /boot/default.new /boot/default
    esac
    case $1 in test | switch)
      . "$system/activate"
      ln -sfn "$system" /run/current-system.new
      mv -T /run/current-system.new /run/current-system
    esac
    # As a program does that has it open for writing, when it ends.
    : > $lock
  '';
  builder = "/bin/sh";
  args = [
    "-c"
    ''
      PATH=/usr/bin:/bin
      mkdir -p $out/bin $out/etc/systemd/system
      if [ $script = yes ]; then printf '%s' "$switch" > $out/bin/switch-to-configuration; chmod +x $out/bin/switch-to-configuration; fi
      if [ $deadman = yes ]; then touch $out/etc/systemd/system/reelmill-deadman.service; fi
      printf '%s\n' "$activate" > $out/activate
      printf '#!/bin/sh\n%s\n' "$checks" > $out/pre-switch-checks; chmod +x $out/pre-switch-checks
      printf '%s' "$kernel" > $out/kernel-params
    ''
  ];
}
