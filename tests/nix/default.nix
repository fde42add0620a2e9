# The NixOS tests: every other `.nix` file here is one, by its name; what several share lies in `lib`.
{
  self,
  lib,
  pkgs,
}: let
  files = lib.filterAttrs (name: kind: kind == "regular" && lib.hasSuffix ".nix" name && name != "default.nix") (builtins.readDir ./.);
  test = file:
    pkgs.testers.runNixOSTest {
      imports = [./${file}];
      defaults.imports = [self.nixosModules.default];
      # Our modules bring an overlay of their own.
      node.pkgsReadOnly = false;
    };
in
  # Their machines have the tests' own system; one is enough.
  lib.optionalAttrs pkgs.stdenv.hostPlatform.isx86_64
  (lib.mapAttrs' (file: _: lib.nameValuePair (lib.removeSuffix ".nix" file) (test file)) files)
