# The scripts of the NixOS tests, as the test driver runs them. Those that wait for what their machines do not have end the
# evaluation.
{
  self,
  lib,
  ...
}: let
  promises = import ../lib/promises.nix {inherit lib;};
in
  lib.mapAttrs' (name: test: lib.nameValuePair "${name}.py" (promises name test))
  (removeAttrs self.checks.x86_64-linux ["form"])
