# Settings as TOML, looked at by the program itself when the system is built: what it refuses never boots.
{
  lib,
  pkgs,
}: {
  # The file's name without its ending.
  name,
  # What the file says; no secret, for everybody may read the store. What is null is left out.
  settings,
  # The package of the program, and the program.
  package,
  program,
}: let
  file = (pkgs.formats.toml {}).generate "${name}.toml" (lib.filterAttrsRecursive (_: value: value != null) settings);
  # Where a system is built on a machine of another kind, one for that machine says the same.
  runs = pkgs.stdenv.buildPlatform.canExecute pkgs.stdenv.hostPlatform;
  checker =
    if runs
    then package
    else pkgs.buildPackages.${package.pname};
in {
  # The file as it is.
  inherit file;
  # The same file, once the program has agreed. Secrets, and whatever else is only on the machine itself, are not looked for.
  checked = pkgs.runCommand "${name}.toml" {inherit file;} ''
    env -i ${lib.getExe' checker program} check-config --config "$file" --settings-only
    ln -s "$file" "$out"
  '';
}
