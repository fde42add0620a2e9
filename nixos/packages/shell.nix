# Where Nix is, `cargo xtask` runs in here, and everything that it installs by apt-get elsewhere comes of this table.
{
  lib,
  pkgs,
}: let
  # A program under the name that Debian gives it.
  as = name: program: pkgs.runCommand name {} "mkdir -p $out/bin; ln -s ${program} $out/bin/${name}";
  gst = pkgs.gst_all_1;

  # Programs, and what brings them. A test of xtask compares their names with those that it asks for.
  programs = {
    "amqp-publish" = lib.optional (pkgs ? rabbitmq-c) pkgs.rabbitmq-c;
    "amtool" = [pkgs.prometheus-alertmanager];
    "c++" = [];
    "cc" = [];
    "chromium" = [pkgs.chromium];
    "curl" = [pkgs.curl];
    "docker-registry" = [(as "docker-registry" "${pkgs.distribution}/bin/registry")];
    # With libvmaf, which the others lack.
    "ffmpeg" = [pkgs.ffmpeg-full];
    "gst-inspect-1.0" = [
      (lib.getBin gst.gstreamer)
      gst.gstreamer
      gst.gst-plugins-base
      gst.gst-plugins-good
      gst.gst-plugins-bad
      gst.gst-plugins-ugly
      gst.gst-libav
      pkgs.pkg-config
    ];
    "htpasswd" = [pkgs.apacheHttpd];
    "jq" = [pkgs.jq];
    "mformat" = [pkgs.mtools];
    "mkfs.vfat" = [pkgs.dosfstools];
    "mmdebstrap" = lib.optional (pkgs ? mmdebstrap) pkgs.mmdebstrap;
    "mosquitto" = [pkgs.mosquitto];
    "nats-server" = [pkgs.nats-server];
    "nft" = [pkgs.nftables];
    "nginx" = [pkgs.nginx];
    "node" = [pkgs.nodejs];
    "npm" = [pkgs.nodejs];
    "pip3" = [(pkgs.python3.withPackages (python: [python.pip]))];
    "prometheus-node-exporter" = [(as "prometheus-node-exporter" "${pkgs.prometheus-node-exporter}/bin/node_exporter")];
    "prometheus-redis-exporter" = [(as "prometheus-redis-exporter" "${pkgs.prometheus-redis-exporter}/bin/redis_exporter")];
    "promtool" = [pkgs.prometheus pkgs.prometheus.cli];
    "psql" = [pkgs.postgresql];
    "qemu-system-x86_64" = [pkgs.qemu];
    "rabbitmqctl" = [pkgs.rabbitmq-server];
    "redis-server" = [pkgs.redis];
    "restic" = [pkgs.restic pkgs.age pkgs.sqlite pkgs.openssl];
    "sfdisk" = [pkgs.util-linux];
    "shellcheck" = [pkgs.shellcheck];
    "skopeo" = [pkgs.skopeo];
    "swtpm" = [pkgs.swtpm];
    "systemd-nspawn" = [pkgs.systemd];
    "zstd" = [pkgs.zstd];
  };
in
  pkgs.mkShell {
    packages =
      [pkgs.cargo pkgs.rustc pkgs.clippy pkgs.rustfmt pkgs.rust-analyzer pkgs.cargo-nextest pkgs.cargo-deny]
      ++ [pkgs.deadnix pkgs.reelmill-alejandra]
      ++ lib.unique (lib.concatLists (lib.attrValues programs));
    # Without a font, the screenshots of the browser check show boxes.
    FONTCONFIG_FILE = pkgs.makeFontsConf {fontDirectories = [pkgs.dejavu_fonts];};
    CHROMIUM = lib.getExe pkgs.chromium;
  }
