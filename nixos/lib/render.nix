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
    lib.mapAttrs (_: unit: withoutLimits unit.text)
    (lib.filterAttrs (name: _: lib.hasPrefix prefix name) config.systemd.units);

  # An evaluation that stands in for nixpkgs writes a limit where nobody has set one; none of our units sets this one.
  withoutLimits = lib.replaceStrings ["StartLimitBurst=1\nStartLimitIntervalSec=1\n" "StartLimitBurst=1\n"] ["" ""];

  # Its files below /etc/reelmill.
  etc = config: let
    ours = lib.filterAttrs (name: _: lib.hasPrefix "reelmill/" name) config.environment.etc;
  in
    lib.mapAttrs' (name: file: lib.nameValuePair "etc/${name}" (text file)) ours;
  text = file:
    if file.text != null
    then file.text
    else file.source.file.text;

  # What is said against each of these modules, by name.
  refused = modules:
    lib.concatStrings (lib.mapAttrsToList (name: module: let
      failed = lib.filter (a: !a.assertion) (machine [module]).assertions;
    in
      "${name}\n" + lib.concatMapStrings (a: "  ${a.message}\n") failed)
    modules);

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
