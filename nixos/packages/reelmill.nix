# The programs of Reelmill.
{
  lib,
  rustPlatform,
}:
rustPlatform.buildRustPackage {
  pname = "reelmill";
  version = "0.1.0";
  src = lib.fileset.toSource {
    root = ../..;
    fileset = lib.fileset.unions [../../Cargo.toml ../../Cargo.lock ../../agent ../../hub ../../worker];
  };
  cargoLock.lockFile = ../../Cargo.lock;
  meta = {
    description = "A transcoding farm that you flash";
    license = lib.licenses.asl20;
    mainProgram = "reelmill";
    platforms = lib.platforms.linux;
  };
}
