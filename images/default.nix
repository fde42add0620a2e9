# Boards, mapped into systems, images, and what puts firmware on them.
{
  self,
  lib,
  nixpkgs,
}: let
  boards = import ./boards.nix;
  inherit (lib) concatMapAttrs filterAttrs mapAttrs mapAttrs' nameValuePair;

  # What an image of a format is: what the system has for it, what the image is made by, and its results by what they add
  # to the board's name.
  formats = {
    disk = {
      system = ./store.nix;
      image = ./disk.nix;
      results."" = "image";
    };
    cloud = {
      system = ./cloud.nix;
      image.imports = [./disk.nix ./qcow2.nix];
      results = {
        "" = "image";
        "-qcow2" = "qcow2";
      };
    };
    iso = {
      system = ./installer.nix;
      image = {};
      results."" = "isoImage";
    };
  };

  system = name: board:
    nixpkgs.lib.nixosSystem {
      modules =
        [
          self.nixosModules.default
          self.nixosModules.${board.hardware}
          board.profile
          formats.${board.format}.system
          {
            nixpkgs.hostPlatform = board.system;
            networking.hostName = lib.mkDefault name;
            system.image = {
              id = "reelmill-${name}";
              version = (lib.importTOML ../Cargo.toml).workspace.package.version;
            };
            _module.args = {inherit images;};
          }
        ]
        ++ board.modules or [];
    };
  configurations = mapAttrs system boards;

  # The same systems, built on x86 for boards that are not: nothing of an image needs a machine of its own kind.
  crossed = mapAttrs (name: _:
    configurations.${name}.extendModules {modules = [{nixpkgs.buildPlatform = "x86_64-linux";}];})
  (filterAttrs (_: board: board.system != "x86_64-linux") boards);

  # An image holds the system as it is, so its own settings are laid over it from outside.
  made = name: configuration:
    configuration.extendModules {
      modules = [
        formats.${boards.${name}.format}.image
        {_module.args.installed = configuration.config.system.build.toplevel;}
      ];
    };
  named = end: name: image:
    mapAttrs' (suffix: result: nameValuePair "${name}${suffix}${end}" image.config.system.build.${result})
    formats.${boards.${name}.format}.results;
  disks = mapAttrs made configurations;
  images =
    concatMapAttrs (named "") disks
    // concatMapAttrs (named "-cross") (mapAttrs made crossed);
in {
  inherit configurations disks images;

  # Packages for the machine at the desk: the firmware of a Jetson is put on its module over USB, by x86 only.
  packages.x86_64-linux.flash-jetson-orin-nx = crossed.jetson-orin-nx-nvme.config.system.build.flashScript;
}
