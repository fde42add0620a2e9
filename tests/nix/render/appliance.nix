# What the appliance is: its own units, and what it tells the programs of NixOS, each in the program's own format.
{
  self,
  lib,
  systems,
  unit,
}: let
  inherit (import ../../../nixos/lib/render.nix {inherit self lib;}) withoutLimits;
  of = config: name: withoutLimits (unit config name);
  node = systems.x86-server;
  inherit (systems) hub;
  cable = node.systemd.network.networks."80-reelmill-cable";
  cloud = systems.x86-cloud;
  stick = lib.head node.systemd.mounts;
  word = value:
    if value == true
    then "yes"
    else if value == false
    then "no"
    else toString value;
  lines = sep: attrs: lib.concatStrings (lib.mapAttrsToList (key: value: "${key}${sep}${word value}\n") attrs);
  ini = sections: lib.concatStringsSep "\n" (lib.mapAttrsToList (name: attrs: "[${name}]\n${lines "=" attrs}") sections);
  filter = config: let
    wall = config.networking.firewall;
  in ''
    table inet reelmill {
      chain input {
        ${lib.concatMapStringsSep "\n    " (port: "tcp dport ${toString port} accept") wall.allowedTCPPorts}
        ${wall.extraInputRules}
      }
    }
  '';
in {
  "reelmill-first-boot.service" = of node "reelmill-first-boot.service";
  "reelmill-stick.service" = of node "reelmill-stick.service";
  "run-reelmill-stick.mount" = ini {
    Unit = stick.unitConfig;
    Mount = {
      What = stick.what;
      Where = stick.where;
      Type = stick.type;
      Options = stick.options;
    };
  };
  "cloud/reelmill-user-data.service" = of cloud "reelmill-user-data.service";
  "cloud/reelmill-worker.service" = of cloud "reelmill-worker.service";
  "reelmill-tidy.service" = of node "reelmill-tidy.service";
  "reelmill-tidy.timer" = of node "reelmill-tidy.timer";
  "udev.rules" = node.services.udev.extraRules + cloud.services.udev.extraRules;
  "sysctl.conf" = lines "=" (lib.filterAttrs (_: value: value != null && !lib.isAttrs value) node.boot.kernel.sysctl);
  "system.conf" = ini {inherit (node.systemd.settings) Manager;};
  "journald.conf" = "[Journal]\n${node.services.journald.extraConfig}";
  "sshd_config" =
    lines " " (lib.filterAttrs (_: value: value != null) node.services.openssh.settings)
    + "AuthorizedKeysFile ${toString node.services.openssh.authorizedKeysFiles}\n"
    + lib.concatMapStrings (key: "HostKey ${key.path}\n") node.services.openssh.hostKeys;
  # NixOS spells yes and no out for Nix.
  "nix.conf" = lib.concatStrings (lib.mapAttrsToList (key: value: "${key} = ${
      if lib.isBool value
      then lib.boolToString value
      else toString value
    }\n")
    node.nix.settings);
  "80-reelmill-cable.network" = ini {
    Match = cable.matchConfig;
    Network = cable.networkConfig;
    Link = cable.linkConfig;
    DHCPv4 = cable.dhcpV4Config;
    DHCPv6 = cable.dhcpV6Config;
  };
  "repart.d/50-root.conf" = ini {Partition = node.systemd.repart.partitions."50-root";};
  "fstab" = lib.concatStrings (lib.mapAttrsToList (where: fs: "${fs.device} ${where} ${fs.fsType} ${lib.concatStringsSep "," fs.options}\n") node.fileSystems);
  "node.nft" = filter node;
  "hub.nft" = filter hub;
}
