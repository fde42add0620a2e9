# Instances of the worker that run from an OCI image, under podman.
{
  config,
  lib,
  pkgs,
  ...
}: let
  inherit (lib) mapAttrs' mkIf nameValuePair;
  cfg = config.services.reelmill.worker;
  instances = import ../lib/instances.nix {inherit lib;} cfg;
  credentials = import ../lib/credentials.nix {inherit lib;};
  settings = name: (import ../lib/worker-settings.nix {inherit lib pkgs cfg instances;} name).checked;
  contained = lib.filterAttrs (_: i: i.container.enable) instances.on;
  container = name: "reelmill-worker-${name}";
  # "150%" of one processor as podman counts, "1.50".
  cpus = quota: let
    percent = lib.toIntBase10 (lib.removeSuffix "%" quota);
  in "${toString (percent / 100)}.${lib.fixedWidthNumber 2 (lib.mod percent 100)}";
  podman = name: "podman-${container name}";
in {
  config = mkIf (contained != {}) {
    assertions = lib.concatLists (lib.mapAttrsToList (name: i: let
        at = "services.reelmill.worker.instances.${name}";
      in [
        {
          assertion = i.container.image != "";
          message = "${at}.container.image is not set";
        }
        {
          assertion = !i.batch;
          message = "${at}: a batch does not run in a container; leave batch or container.enable out";
        }
        {
          assertion = i.memoryMax == null || builtins.match "[0-9]+[KMG]" i.memoryMax != null;
          message = "${at}.memoryMax of a container is a number with K, M or G";
        }
      ])
      contained);

    virtualisation.oci-containers.backend = "podman";
    virtualisation.oci-containers.containers = mapAttrs' (name: i:
      nameValuePair (container name) {
        inherit (i.container) image;
        cmd = ["--config" "/etc/reelmill/worker.toml"];
        autoStart = false;
        volumes =
          [
            "${settings name}:/etc/reelmill/worker.toml:ro"
            "/var/cache/${podman name}:/var/cache/reelmill-worker"
          ]
          ++ lib.optional ((credentials "" i).load != []) "/run/credentials/${podman name}.service:/run/credentials/${instances.unit name}.service:ro";
        environment.CACHE_DIRECTORY = "/var/cache/reelmill-worker";
        extraOptions =
          [
            # Its status is for this machine alone, and so are the services that it may be told of by loopback addresses.
            "--network=host"
            "--read-only"
            "--tmpfs=/tmp"
            "--cap-drop=all"
            "--security-opt=no-new-privileges"
            "--stop-timeout=90"
            "--cgroup-parent=reelmill-workers.slice"
          ]
          ++ lib.optional (i.hwaccel == "cuda" || i.gpu != null) "--device=nvidia.com/gpu=${
            if i.gpu == null
            then "all"
            else i.gpu
          }"
          ++ lib.optional (i.cpuQuota != null) "--cpus=${cpus i.cpuQuota}"
          ++ lib.optional (i.memoryMax != null) "--memory=${lib.toLower i.memoryMax}";
      })
    contained;

    systemd.services = lib.mkMerge (lib.mapAttrsToList (name: i: {
        # What is commanded of the instance's unit happens to the container.
        ${instances.unit name} = {
          description = "Reelmill transcode worker ${name}, in a container";
          wantedBy = ["multi-user.target"];
          wants = ["${podman name}.service"];
          serviceConfig = {
            Type = "oneshot";
            RemainAfterExit = true;
            ExecStart = lib.getExe' pkgs.coreutils "true";
          };
        };
        ${podman name} = {
          partOf = ["${instances.unit name}.service"];
          after = ["${instances.unit name}.service"];
          serviceConfig = {
            LoadCredential = (credentials "" i).load;
            CacheDirectory = podman name;
            CacheDirectoryMode = "0700";
          };
        };
      })
      contained);
  };
}
