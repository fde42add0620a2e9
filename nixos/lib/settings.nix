# Settings as TOML, looked at by the program itself when the system is built: what it refuses never boots.
{
  lib,
  pkgs,
}: {
  # The file's name without its ending.
  name,
  # What the file says; no secret, for everybody may read the store.
  settings,
  # The program's words before its `check-config`, e.g. `[ "reelmill-agent" "--config" ]`: the file's path comes between.
  check,
}: let
  file = (pkgs.formats.toml {}).generate "${name}.toml" settings;
in {
  # The file as it is.
  inherit file;
  # The same file, once the program has agreed.
  checked = pkgs.runCommand "${name}.toml" {inherit file;} ''
    ${lib.escapeShellArgs check} "$file" check-config
    ln -s "$file" "$out"
  '';
}
