# All programs of Reelmill, compiled once for all packages; reelmill.nix says which of them a package has.
{
  lib,
  rustPlatform,
  fetchurl,
  runCommand,
  pkg-config,
  gst_all_1,
}: let
  root = ../..;
  inherit (lib) fileset;
  members = (lib.importTOML ../../Cargo.toml).workspace.members;

  # cargo wants the manifest and the code of every member of the workspace, also of those that are not built here. The clip is
  # what `reelmill demo` has in it.
  source = fileset.unions (
    [../../Cargo.toml ../../Cargo.lock ../../hub/presets ../../hub/ui ../../tests/media/bbb-5s.mp4]
    ++ lib.concatMap (member: let
      folder = root + "/${member}";
    in
      [(folder + "/Cargo.toml") (folder + "/src")] ++ map (name: fileset.maybeMissing (folder + "/${name}")) ["build.rs" "benches"])
    members
  );

  # The player that the hub's page has in it, as npm's lock file names it.
  player = (lib.importJSON ../../hub/ui/package-lock.json).packages."node_modules/hls.js";
  hls = fetchurl {
    url = "https://registry.npmjs.org/hls.js/-/hls.js-${player.version}.tgz";
    hash = player.integrity;
  };
in
  rustPlatform.buildRustPackage {
    pname = "reelmill-programs";
    version = (lib.importTOML ../../Cargo.toml).workspace.package.version;
    src = fileset.toSource {
      inherit root;
      fileset = fileset.difference source (fileset.maybeMissing ../../hub/ui/node_modules);
    };
    cargoLock.lockFile = ../../Cargo.lock;

    # The Jetson's child is the one program that wants headers of the system.
    nativeBuildInputs = [pkg-config];
    buildInputs = [gst_all_1.gstreamer gst_all_1.gst-plugins-base];
    cargoBuildFlags = lib.concatMap (name: ["--package" name]) [
      "reelmill"
      "reelmill-hub"
      "reelmill-worker"
      "reelmill-agent"
      "reelmill-gst"
    ];
    buildFeatures = ["reelmill-gst/gstreamer"];
    env.REELMILL_HLS_JS = runCommand "hls.min.js" {} "tar -xzOf ${hls} package/dist/hls.min.js > $out";

    # The tests want a network, root, media programs and brokers: `cargo xtask test` runs them, and tests/nix the rest.
    doCheck = false;

    meta = {
      description = "The programs of Reelmill, a transcoding farm that you flash";
      license = lib.licenses.asl20;
      platforms = ["x86_64-linux" "aarch64-linux"];
    };
  }
