# How the machine boots and where its disk is: an ESP with systemd-boot, and one ext4 partition that fills the disk after the
# first boot. The labels are those of the images.
{
  config,
  lib,
  ...
}: let
  inherit (lib) mkDefault mkIf mkOption types;
  cfg = config.reelmill.appliance;
in {
  options.reelmill.appliance.disk = {
    enable =
      lib.mkEnableOption "the file systems of an image of Reelmill"
      // {
        default = cfg.enable;
        defaultText = lib.literalExpression "config.reelmill.appliance.enable";
      };
    root = mkOption {
      type = types.str;
      default = "reelmill-root";
      description = "GPT label of the partition that holds the system and its state.";
    };
    esp = mkOption {
      type = types.str;
      default = "ESP";
      description = "GPT label of the EFI system partition.";
    };
  };

  config = lib.mkMerge [
    (mkIf cfg.enable {
      boot.loader.systemd-boot = {
        enable = mkDefault true;
        # Whoever can type at the console could become root by it.
        editor = mkDefault false;
        # A Jetson's kernel with its initial RAM disk takes 60 to 100 MiB of the ESP.
        configurationLimit = mkDefault 5;
      };
      boot.loader.timeout = mkDefault 3;
      boot.loader.efi.canTouchEfiVariables = mkDefault false;
      boot.initrd.systemd.enable = mkDefault true;
    })
    (mkIf cfg.disk.enable {
      fileSystems."/" = {
        device = mkDefault "/dev/disk/by-partlabel/${cfg.disk.root}";
        fsType = mkDefault "ext4";
        options = ["noatime" "x-systemd.growfs"];
      };
      fileSystems."/boot" = {
        device = mkDefault "/dev/disk/by-partlabel/${cfg.disk.esp}";
        fsType = mkDefault "vfat";
        # A join file there has a token; and a partition that is slow or broken must not keep the node from its operator.
        options = ["umask=0077" "noexec" "nosuid" "nodev" "nofail"];
      };

      # The image is as small as its content. At each boot the partition takes what is free behind it, and the file system
      # follows; where nothing is free, nothing happens.
      systemd.repart.enable = mkDefault true;
      systemd.repart.partitions."50-root" = {
        Type = "root";
        Label = cfg.disk.root;
      };
    })
  ];
}
