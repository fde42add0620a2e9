# What the images of the boards are made of: the definitions that systemd-repart makes them from, those that the running
# machine grows its root by, the boot loader's settings, and the unit that tells Nix of the store.
{
  self,
  lib,
  unit,
  ...
}: let
  farm = import "${self}/images" {
    inherit self lib;
    inherit (self.inputs) nixpkgs;
  };
  inherit (farm) disks;
  render = import "${self}/nixos/lib/render.nix" {inherit self lib;};
  # The board whose system a stand-in boots: all of its units and settings.
  whole = "x86-cpu";
  definition = partition: lib.generators.toINI {} {Partition = partition;};
  definitions = folder: lib.mapAttrs' (name: partition: lib.nameValuePair "${folder}/${name}.conf" (definition partition));
  # What is written where.
  contents = partition: p:
    lib.mapAttrsToList (to: from: "${partition} ${to} ${from.source.name}\n") p.contents
    ++ lib.optional (p.storePaths != []) "${partition} /nix/store the system\n";
  # As NixOS mounts them.
  fstab = config:
    lib.concatStrings (lib.mapAttrsToList (to: fs: "${fs.device} ${to} ${fs.fsType} ${lib.concatStringsSep "," fs.options} 0 0\n") config.fileSystems);
  board = config:
    definitions "image" (lib.mapAttrs (_: p: p.repartConfig) config.image.repart.partitions)
    // definitions "grow" config.systemd.repart.partitions
    // {
      "contents" = lib.concatStrings (lib.concatLists (lib.mapAttrsToList contents config.image.repart.partitions));
      "mkfs" = lib.concatStrings (lib.mapAttrsToList (fs: words: "${fs} ${toString words}\n") config.image.repart.mkfsOptions);
      "fstab" = fstab config;
      "loader.conf" = config.system.build.reelmillLoaderConf.text;
      "reelmill-store.service" = unit config "reelmill-store.service";
    };
in
  render.below "${whole}/system" (let
    inherit (disks.${whole}) config;
  in
    render.units "reelmill-" config // render.etc config // {"polkit.rules" = config.security.polkit.extraConfig;})
  // {
    # Everything that can be built: so all of it is evaluated.
    "outputs" =
      lib.concatStrings (lib.mapAttrsToList (name: result: "${name} ${builtins.unsafeDiscardStringContext result.drvPath}\n")
        (farm.images // farm.packages.x86_64-linux));
  }
  // lib.concatMapAttrs (name: disk: render.below name (board disk.config))
  (lib.filterAttrs (_: disk: disk.config ? image && disk.config.image ? repart) disks)
