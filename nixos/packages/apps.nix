# What `nix run .#NAME` starts.
{
  self,
  lib,
  pkgs,
}: let
  inherit (pkgs) coreutils jq reelmill skopeo writeShellApplication;
  # A script of ours with what it calls; Nix itself is the caller's. What it builds comes of this very flake.
  script = name: file: inputs: description:
    writeShellApplication {
      inherit name;
      runtimeInputs = [coreutils] ++ inputs;
      text =
        ''
          export REELMILL_FLAKE="''${REELMILL_FLAKE:-${self}}" REELMILL_VERSION=${reelmill.version} REELMILL_RELEASE=${toString self.lastModified}
        ''
        + builtins.readFile file;
      meta = {inherit description;};
    };
  app = program: {
    type = "app";
    program = lib.getExe program;
    meta = {inherit (program.meta) description;};
  };
in
  lib.mapAttrs (_: app) {
    default = reelmill;
    publish = script "publish" ./publish.sh [] "Builds and signs systems and copies them to a binary cache";
    push-images = script "push-images" ./push-images.sh [jq skopeo] "Pushes the worker's OCI images to a registry";
  }
