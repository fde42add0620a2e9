# A stand-in for a NixOS system that a machine boots: what it says of its own boot, its first process, and how it comes into
# force. Its closure has the kernel and the initrd.
{
  name,
  params ? "",
}: let
  make = name: env: script:
    derivation ({
        inherit name;
        system = builtins.currentSystem;
        builder = "/bin/sh";
        args = ["-c" ("PATH=/usr/bin:/bin\n" + script)];
      }
      // env);
  kernel = make "linux" {} "mkdir $out; cp -L /boot/vmlinuz-* $out/bzImage";
  initrd = make "initrd" {} "mkdir $out; cp -L /boot/initrd.img-* $out/initrd";
in
  make "nixos-system-${name}" {
    inherit kernel initrd params;
    init = ''
      #!/bin/sh
      system=$(dirname "$(readlink -f "$0")")
      ln -sfn "$system" /run/booted-system
      ln -sfn "$system" /run/current-system
      exec /usr/lib/systemd/systemd "$@"
    '';
  } ''
    mkdir -p $out
    printf '%s' "$init" > $out/init
    chmod +x $out/init
    ln -s $kernel/bzImage $out/kernel
    ln -s $initrd/initrd $out/initrd
    printf '%s' "$params" > $out/kernel-params
    jq --null-input --arg out $out --arg kernel $kernel/bzImage --arg initrd $initrd/initrd --arg params "$params" '{
      "org.nixos.bootspec.v1": {
        init: "\($out)/init", kernel: $kernel, initrd: $initrd, initrdSecrets: null, kernelParams: ($params | split(" ")),
        label: "NixOS 26.05 (stand-in)", system: "x86_64-linux", toplevel: $out
      },
      "org.nixos.specialisation.v1": {},
      "org.nixos.systemd-boot": { sortKey: "nixos" }
    }' > $out/boot.json
  ''
