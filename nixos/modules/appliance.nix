# A machine that only runs Reelmill, in a rack that nobody visits: it comes up by itself, stays up, and is written to only where
# state lies. One concern a file, in `appliance/`.
{lib, ...}: let
  inherit (lib) mkEnableOption mkOption types;
  concerns = lib.filter (lib.hasSuffix ".nix") (lib.attrNames (builtins.readDir ./appliance));
in {
  imports = map (name: ./appliance + "/${name}") concerns ++ [./first-boot.nix ./user-data.nix];

  options.reelmill.appliance = {
    enable = mkEnableOption ''
      the ways of an appliance: watchdogs, a read-mostly system, keys instead of passwords, a firewall, a small journal,
      garbage collection that keeps what the node may have to go back to, and a first boot that reads its join file
    '';
    roles = mkOption {
      type = types.listOf (types.enum ["node" "hub"]);
      default = ["node"];
      description = "What the machine is: a node that works, the hub that the nodes ask, or both.";
    };
  };
}
