# Where Nix is, `cargo xtask` runs in here: everything that it installs by apt-get elsewhere.
{
  mkShell,
  cargo,
  rustc,
  clippy,
  rustfmt,
  rust-analyzer,
  cargo-nextest,
  cargo-deny,
  pkg-config,
  gst_all_1,
  ffmpeg,
  nodejs,
  chromium,
  dejavu_fonts,
  makeFontsConf,
  redis,
  mosquitto,
  prometheus,
  prometheus-node-exporter,
  distribution,
  skopeo,
  curl,
  jq,
  openssl,
  zstd,
  qemu,
  mtools,
  util-linux,
  shellcheck,
  deadnix,
  reelmill-alejandra,
}:
mkShell {
  packages = [
    cargo
    rustc
    clippy
    rustfmt
    rust-analyzer
    cargo-nextest
    cargo-deny
    pkg-config
    gst_all_1.gstreamer
    gst_all_1.gst-plugins-base
    gst_all_1.gst-plugins-good
    gst_all_1.gst-plugins-bad
    gst_all_1.gst-plugins-ugly
    gst_all_1.gst-libav
    # With libvmaf, which the headless one lacks.
    ffmpeg
    nodejs
    chromium
    redis
    mosquitto
    prometheus
    prometheus.cli
    prometheus-node-exporter
    distribution
    skopeo
    curl
    jq
    openssl
    zstd
    qemu
    mtools
    util-linux
    shellcheck
    deadnix
    reelmill-alejandra
  ];
  # Without a font, the screenshots of the browser check show boxes.
  FONTCONFIG_FILE = makeFontsConf {fontDirectories = [dejavu_fonts];};
  # The agent's page is looked at in it.
  CHROMIUM = "${chromium}/bin/chromium";
}
