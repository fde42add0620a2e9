# What modules produce, as texts by path: for the golden files.
{
  self,
  lib,
}: rec {
  # A machine with these modules of its owner's, on which nothing else of ours is on.
  machine = modules:
    (self.inputs.nixpkgs.lib.nixosSystem {
      modules =
        [
          self.nixosModules.default
          {
            nixpkgs.hostPlatform = "x86_64-linux";
            networking.hostName = "machine";
            system.stateVersion = "26.05";
            boot.loader.systemd-boot.enable = true;
            fileSystems."/" = {
              device = "/dev/disk/by-label/root";
              fsType = "ext4";
            };
          }
        ]
        ++ modules;
    })
    .config;

  # Its units whose names begin with `prefix`; those that only NixOS' own modules know in full are left out.
  units = prefix: config:
    lib.mapAttrs (_: unit: unit.text)
    (lib.filterAttrs (name: _: lib.hasPrefix prefix name) config.systemd.units);

  # Its files below /etc/reelmill.
  etc = config: let
    ours = lib.filterAttrs (name: _: lib.hasPrefix "reelmill/" name) config.environment.etc;
  in
    lib.mapAttrs' (name: file: lib.nameValuePair "etc/${name}" (text file)) ours;
  text = file:
    if file.text != null
    then file.text
    else file.source.file.text;

  below = folder: lib.mapAttrs' (path: lib.nameValuePair "${folder}/${path}");

  # What switch-to-configuration may do with each service: NixOS writes it into the unit when it is not the usual.
  switching = prefix: config: let
    ours = lib.filterAttrs (name: _: lib.hasPrefix prefix name) config.systemd.services;
    word = value:
      if value
      then "yes"
      else "no";
  in
    lib.concatStrings (lib.mapAttrsToList (name: s: "${name}: restarts ${word s.restartIfChanged}, stops ${word s.stopIfChanged}\n") ours);
}
