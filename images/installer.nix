# A stick that boots on a server without an operating system and puts one of the images on its disk.
{
  images,
  lib,
  pkgs,
  modulesPath,
  ...
}: let
  carried = pkgs.linkFarm "reelmill-images" (lib.getAttrs ["x86-server" "x86-cpu" "hub" "all-in-one"] images);
  install = pkgs.writeShellApplication {
    name = "reelmill-install";
    runtimeInputs = [pkgs.reelmill pkgs.util-linux];
    runtimeEnv.IMAGES = "${carried}";
    text = builtins.readFile ./install.sh;
  };
in {
  imports = ["${modulesPath}/installer/cd-dvd/installation-cd-minimal.nix"];

  environment.systemPackages = [install];
  # What whoever boots the stick reads.
  services.getty.helpLine = lib.mkForce ''

    `sudo reelmill-install` puts Reelmill on a disk of this machine, and says how.
  '';
}
