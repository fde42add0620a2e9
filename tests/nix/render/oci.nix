# What the worker's OCI images say of themselves, for each system that they are built for.
{
  self,
  lib,
  ...
}: let
  pretty = import ../lib/pretty.nix {inherit lib;};
  of = system: packages:
    lib.mapAttrs' (name: image:
      lib.nameValuePair "${system}/${lib.removePrefix "oci-" name}.json" (pretty {
        inherit (image.buildArgs) name tag config;
      }))
    (lib.filterAttrs (name: _: lib.hasPrefix "oci-" name) packages);
in
  lib.concatMapAttrs of self.packages
