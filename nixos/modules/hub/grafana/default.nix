# Reelmill's dashboards by name, each in a file of its own.
{lib}: let
  parts = import ./parts.nix {inherit lib;};
in
  lib.genAttrs ["farm" "nodes" "energy"] (name: import (./. + "/${name}.nix") parts)
