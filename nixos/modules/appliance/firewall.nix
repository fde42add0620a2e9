# The firewall: what nobody needs from outside is shut.
{
  config,
  lib,
  ...
}: let
  inherit (lib) mkDefault mkIf mkOption optionals types;
  cfg = config.reelmill.appliance;
  wall = cfg.firewall;
  isV6 = lib.hasInfix ":";
  set = items: "{ ${lib.concatStringsSep ", " items} }";
in {
  options.reelmill.appliance.firewall = {
    ports = mkOption {
      type = types.listOf types.port;
      defaultText = lib.literalMD ''
        a hub's: 7443 (nodes ask to be let in) and 8883 (the nodes' broker); a node's: none
      '';
      description = ''
        TCP ports that {option}`reelmill.appliance.firewall.from` may reach, besides SSH. Services that listen for others add
        theirs.
      '';
    };
    from = mkOption {
      type = types.listOf types.str;
      default = [];
      example = ["10.0.0.0/8" "fd00::/8"];
      description = "Networks that may reach these ports. Empty: everybody may.";
    };
    sshFrom = mkOption {
      type = types.listOf types.str;
      default = [];
      example = ["10.0.9.0/24"];
      description = "Networks that may reach SSH. Empty: everybody may; it takes keys only.";
    };
  };

  config = mkIf cfg.enable {
    reelmill.appliance.firewall.ports = optionals (lib.elem "hub" cfg.roles) [7443 8883];
    networking.nftables.enable = mkDefault true;
    networking.firewall = {
      enable = mkDefault true;
      allowPing = mkDefault true;
      logRefusedConnections = mkDefault false;
      allowedTCPPorts =
        optionals (wall.from == []) wall.ports
        ++ optionals (wall.sshFrom == []) config.services.openssh.ports;
      extraInputRules = let
        split = from: [(lib.filter (net: !isV6 net) from) (lib.filter isV6 from)];
        lines = ports: from: lib.zipListsWith (family: nets: {inherit family nets ports;}) ["ip" "ip6"] (split from);
        text = {
          family,
          nets,
          ports,
        }:
          lib.optionalString (nets != [] && ports != [])
          "${family} saddr ${set nets} tcp dport ${set (map toString ports)} accept\n";
      in
        lib.concatMapStrings text (lines wall.ports wall.from ++ lines config.services.openssh.ports wall.sshFrom);
    };
  };
}
