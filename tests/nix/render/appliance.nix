# What the appliance is: its own units, and what it tells the programs of NixOS, each in the program's own format.
{
  lib,
  systems,
  unit,
  ...
}: let
  node = systems.x86-server;
  inherit (systems) hub;
  cable = node.systemd.network.networks."80-reelmill-cable";
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
        tcp dport { ${lib.concatMapStringsSep ", " toString wall.allowedTCPPorts} } accept
        ${wall.extraInputRules}
      }
    }
  '';
in {
  "reelmill-first-boot.service" = unit node "reelmill-first-boot.service";
  "reelmill-stick.service" = unit node "reelmill-stick.service";
  "run-reelmill-stick.mount" = unit node "run-reelmill-stick.mount";
  "reelmill-tidy.service" = unit node "reelmill-tidy.service";
  "reelmill-tidy.timer" = unit node "reelmill-tidy.timer";
  "udev.rules" = node.services.udev.extraRules;
  "sysctl.conf" = lines "=" (lib.filterAttrs (_: value: value != null) node.boot.kernel.sysctl);
  "system.conf" = ini {inherit (node.systemd.settings) Manager;};
  "journald.conf" = "[Journal]\n${node.services.journald.extraConfig}";
  "sshd_config" =
    lines " " node.services.openssh.settings
    + "AuthorizedKeysFile ${toString node.services.openssh.authorizedKeysFiles}\n"
    + lib.concatMapStrings (key: "HostKey ${key.path}\n") node.services.openssh.hostKeys;
  "nix.conf" = lines " = " node.nix.settings;
  "80-reelmill-cable.network" = ini {
    Match = cable.matchConfig;
    Network = cable.networkConfig;
    Link = cable.linkConfig;
    DHCPv4 = cable.dhcpV4Config;
  };
  "repart.d/50-root.conf" = ini {Partition = node.systemd.repart.partitions."50-root";};
  "fstab" = lib.concatStrings (lib.mapAttrsToList (where: fs: "${fs.device} ${where} ${fs.fsType} ${lib.concatStringsSep "," fs.options}\n") node.fileSystems);
  "node.nft" = filter node;
  "hub.nft" = filter hub;
}
