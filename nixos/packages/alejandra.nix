# The formatter of Nix files: of one version everywhere, so that files do not go back and forth.
{
  lib,
  rustPlatform,
}:
rustPlatform.buildRustPackage {
  pname = "alejandra";
  version = lib.removePrefix "=" (lib.importTOML ../../tests/alejandra/Cargo.toml).dependencies.alejandra;
  src = lib.fileset.toSource {
    root = ../../tests/alejandra;
    fileset = lib.fileset.unions [../../tests/alejandra/Cargo.toml ../../tests/alejandra/Cargo.lock ../../tests/alejandra/src];
  };
  cargoLock.lockFile = ../../tests/alejandra/Cargo.lock;
  meta = {
    description = "Formats Nix files";
    license = lib.licenses.asl20;
    mainProgram = "alejandra";
  };
}
