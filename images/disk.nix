# A disk that boots by UEFI: a GPT with an EFI system partition and a root that grows, made by systemd-repart without a
# machine, so that one kind of machine makes it for another.
{
  config,
  lib,
  pkgs,
  modulesPath,
  installed,
  ...
}: let
  loader = config.boot.loader;
  arch = pkgs.stdenv.hostPlatform.efiArch;

  # As NixOS' installer of systemd-boot writes it, which takes over at the first change of the system.
  loaderConf = pkgs.writeText "loader.conf" ''
    timeout ${
      if loader.timeout == null
      then "menu-force"
      else toString loader.timeout
    }
    default nixos-generation-1.conf
    ${lib.optionalString (!loader.systemd-boot.editor) "editor 0\n"}console-mode ${loader.systemd-boot.consoleMode}
  '';

  # Read from what the system says of its own boot, so that the entry is the one NixOS would write.
  esp = pkgs.runCommand "reelmill-esp" {nativeBuildInputs = [pkgs.buildPackages.jq];} ''
    sh ${./esp.sh} ${installed} ${config.systemd.package}/lib/systemd/boot/efi/systemd-boot${arch}.efi \
      ${loaderConf} ${./reelmill.txt} "$out"
  '';

  registration = pkgs.runCommand "nix-path-registration" {closure = pkgs.closureInfo {rootPaths = [installed];};} ''
    cp "$closure/registration" "$out"
  '';
in {
  imports = ["${modulesPath}/image/repart.nix"];

  assertions = [
    {
      assertion = config.boot.initrd.secrets == {};
      message = "`boot.initrd.secrets` cannot be in an image: everybody who has the image could read them.";
    }
    {
      assertion = loader.systemd-boot.enable;
      message = "`boot.loader.systemd-boot.enable` must be set: the image boots by systemd-boot.";
    }
  ];

  system.build.reelmillLoaderConf = loaderConf;

  image.repart = {
    name = lib.mkDefault config.system.image.id;
    sectorSize = 512;
    compression = {
      enable = lib.mkDefault true;
      algorithm = "zstd";
      level = lib.mkDefault 10;
    };
    # A store is many small files: with the usual number of inodes, a small root runs out of them.
    mkfsOptions.ext4 = ["-i" "8192"];
    partitions = {
      "10-esp" = {
        contents."/".source = esp;
        repartConfig = {
          Type = "esp";
          Label = "ESP";
          Format = "vfat";
          # Several kernels and their initrds, with the vendor's modules.
          SizeMinBytes = "1G";
          SizeMaxBytes = "1G";
        };
      };
      "20-root" = {
        storePaths = [installed];
        # ./store.nix tells Nix of it.
        contents."/nix-path-registration".source = registration;
        repartConfig = {
          Type = "root";
          Label = "reelmill-root";
          Format = "ext4";
          Minimize = "guess";
        };
      };
    };
  };
}
