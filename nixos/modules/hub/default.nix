# The hub and the services around it: one file for each outside party, each of which may be somebody else's instead.
{lib, ...}: {
  imports =
    map (name: ./. + "/${name}")
    (lib.filter (name: name != "default.nix" && lib.hasSuffix ".nix" name && !lib.hasSuffix "-options.nix" name) (lib.attrNames (builtins.readDir ./.)));
}
