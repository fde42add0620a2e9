# Whether the Nix files are formatted, and without dead code.
{
  self,
  runCommand,
  reelmill-alejandra,
  deadnix,
}:
runCommand "reelmill-nix-form" {nativeBuildInputs = [reelmill-alejandra deadnix];} ''
  cd ${self}
  alejandra --check .
  deadnix --fail .
  touch $out
''
