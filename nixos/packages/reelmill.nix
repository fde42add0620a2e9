# The packages: which programs each has, with their units and what they call.
{
  lib,
  callPackage,
  stdenvNoCC,
  makeBinaryWrapper,
  ffmpeg-headless,
  # NixOS tests by name.
  tests,
}: let
  programs = callPackage ./programs.nix {};
  # Every unit file there is, beside the program it belongs to; what a package lacks the program for, it leaves out.
  units = lib.fileset.toSource {
    root = ../..;
    fileset = lib.fileset.unions (map lib.fileset.maybeMissing [../../agent/units ../../hub/units ../../worker/units]);
  };

  package = {
    pname,
    description,
    names,
    # Of these programs the units are installed.
    folders,
    wrapping ? "",
  }:
    stdenvNoCC.mkDerivation {
      inherit pname;
      inherit (programs) version;
      dontUnpack = true;
      nativeBuildInputs = [makeBinaryWrapper];
      inherit programs units names folders;
      installPhase = ''
        runHook preInstall
        bash -euo pipefail ${./install.sh}
        ${wrapping}
        runHook postInstall
      '';
      # A program that does not start is found here and not on a node.
      doInstallCheck = stdenvNoCC.buildPlatform.canExecute stdenvNoCC.hostPlatform;
      installCheckPhase =
        lib.concatMapStrings (name: "$out/bin/${name} --help > /dev/null\n") (lib.remove "reelmill-gst" names)
        + lib.optionalString (lib.elem "reelmill-worker" names) "${lib.getBin ffmpeg}/bin/ffmpeg -filters | grep libvmaf > /dev/null\n";
      passthru = {inherit programs tests;};
      meta =
        programs.meta
        // {
          inherit description;
          mainProgram = lib.head names;
        };
    };

  # With libvmaf, which measures `vmaf_min`: nixpkgs has it in `ffmpeg-full` alone, with far more than a node should carry. So
  # ffmpeg is compiled; NVENC and CUDA filters are in it where that is done on the system that it is for.
  ffmpeg = ffmpeg-headless.override {withVmaf = true;};
  reach = ''
    wrapProgram "$out/bin/reelmill-worker" --prefix PATH : ${lib.makeBinPath [ffmpeg]}
  '';

  # The Jetson's child. It is not wrapped: the worker tells it by `media.gst_plugins` where plug-ins lie, which are the machine's
  # own. The Jetson module and the OCI image set that, see gst-plugins.nix.
  gst = lib.optional stdenvNoCC.hostPlatform.isAarch64 "reelmill-gst";
in {
  all = package {
    pname = "reelmill";
    description = "A transcoding farm that you flash";
    names = ["reelmill" "reelmill-hub" "reelmill-worker" "reelmill-agent" "reelmill-exec"] ++ gst;
    folders = ["agent" "hub" "worker"];
    wrapping = reach;
  };
  hub = package {
    pname = "reelmill-hub";
    description = "Reelmill's hub: the job API, its page, and the farm's register of nodes";
    names = ["reelmill-hub"];
    folders = ["hub"];
  };
  agent = package {
    pname = "reelmill-agent";
    description = "Reelmill's agent: tells how a node is and does what the farm's operators command";
    names = ["reelmill-agent" "reelmill-exec"];
    folders = ["agent"];
  };
  worker = package {
    pname = "reelmill-worker";
    description = "Reelmill's worker: leases tasks, runs media programs, publishes to S3";
    names = ["reelmill-worker"] ++ gst;
    folders = ["worker"];
    wrapping = reach;
  };
}
