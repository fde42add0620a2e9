# The scripts of the NixOS tests, as the test driver runs them.
{
  self,
  lib,
  ...
}:
lib.mapAttrs' (name: test: lib.nameValuePair "${name}.py" test.testScript)
(removeAttrs self.checks.x86_64-linux ["form"])
