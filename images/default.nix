# Boards, mapped into systems and images.
{
  self,
  lib,
  nixpkgs,
}: let
  boards = import ./boards.nix;
  system = name: board:
    nixpkgs.lib.nixosSystem {
      modules = [
        self.nixosModules.default
        self.nixosModules.${board.hardware}
        board.profile
        {
          nixpkgs.hostPlatform = board.system;
          networking.hostName = lib.mkDefault name;
        }
      ];
    };
in rec {
  configurations = lib.mapAttrs system boards;
  images = {};
}
