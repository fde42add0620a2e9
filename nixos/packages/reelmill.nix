# The packages: which programs each has, with their units and what they call.
{
  lib,
  callPackage,
  stdenvNoCC,
  makeBinaryWrapper,
  ffmpeg-headless,
  gst_all_1,
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
        source ${./install.sh}
        ${wrapping}
        runHook postInstall
      '';
      # A program that does not start is found here and not on a node.
      doInstallCheck = stdenvNoCC.buildPlatform.canExecute stdenvNoCC.hostPlatform;
      installCheckPhase = lib.concatMapStrings (name: "$out/bin/${name} --help > /dev/null\n") (lib.remove "reelmill-gst" names);
      passthru = {inherit programs tests;};
      meta =
        programs.meta
        // {
          inherit description;
          mainProgram = lib.head names;
        };
    };

  # ffmpeg as nixpkgs has it in its cache: with NVENC and CUDA filters where it was built on the system that it is for.
  reach = l4t: ''
    wrapProgram "$out/bin/reelmill-worker" --prefix PATH : ${lib.makeBinPath [ffmpeg-headless]} ${
      lib.optionalString (l4t != null) "--set-default REELMILL_GST_PLUGINS ${plugins l4t}"
    }
  '';

  # Where the Jetson's child finds its elements. It loads those of its order alone, so gst-plugins-good's v4l2 elements, whose
  # libv4l2 is in the way of L4T's, stay out.
  plugins = l4t:
    lib.makeSearchPathOutput "lib" "lib/gstreamer-1.0" [
      gst_all_1.gstreamer
      gst_all_1.gst-plugins-base
      gst_all_1.gst-plugins-good
      gst_all_1.gst-plugins-bad
      l4t.l4t-gstreamer
    ];

  gst = l4t: lib.optional (l4t != null) "reelmill-gst";
in {
  all = {l4t ? null}:
    package {
      pname = "reelmill";
      description = "A transcoding farm that you flash";
      names = ["reelmill" "reelmill-hub" "reelmill-worker" "reelmill-agent" "reelmill-exec"] ++ gst l4t;
      folders = ["agent" "hub" "worker"];
      wrapping = reach l4t;
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
  worker = {l4t ? null}:
    package {
      pname = "reelmill-worker";
      description = "Reelmill's worker: leases tasks, runs media programs, publishes to S3";
      names = ["reelmill-worker"] ++ gst l4t;
      folders = ["worker"];
      wrapping = reach l4t;
    };
}
