# Instances of the worker that run from an OCI image, under podman.
{
  config,
  lib,
  pkgs,
  ...
}: let
  inherit (lib) mapAttrs' mkForce mkIf mkMerge nameValuePair optional;
  cfg = config.services.reelmill.worker;
  instances = import ../lib/instances.nix {inherit lib;} cfg;
  credentials = import ../lib/credentials.nix {inherit lib;};
  made = import ../lib/worker-settings.nix {inherit lib pkgs cfg instances;};
  contained = lib.filterAttrs (_: i: i.container.enable) instances.on;
  container = name: "reelmill-worker-${name}";
  podman = name: "podman-${container name}";
  unit = name: "${instances.unit name}.service";
  counts = "/run/reelmill-workers";
  # In the folder that podman's unit has in NixOS.
  pid = name: "/run/${container name}/pid";
  pass = pkgs.writeShellApplication {
    name = "reelmill-worker-container";
    runtimeInputs = [pkgs.coreutils];
    text = builtins.readFile ./worker-container.sh;
  };
  # "150%" of one processor as podman counts, "1.50".
  cpus = quota: let
    percent = lib.toIntBase10 (lib.removeSuffix "%" quota);
  in "${toString (percent / 100)}.${lib.fixedWidthNumber 2 (lib.mod percent 100)}";

  # NVIDIA's cards. The one card that a container is given by its number is number 0 there; CDI knows none by a UUID.
  hasToolkit = config.hardware.nvidia-container-toolkit.enable;
  isJetson = config.hardware.nvidia-jetpack.enable or false;
  hwaccel = name: (made name).settings.hwaccel;
  gpu = name: (made name).settings.media.gpu or null;
  isNumbered = name: gpu name != null && builtins.match "[0-9]+" (gpu name) != null;
  card = name:
    if isNumbered name
    then gpu name
    else "all";
  insists = name: hwaccel name == "cuda" || (hwaccel name != "none" && gpu name != null);

  # What of the machine's files is in it, at the same places.
  mounts = name: let
    inherit (made name) settings writes;
    at = path: lib.toList (lib.attrByPath path [] settings);
    reads = lib.concatMap at [["preset_folder"] ["files" "read"] ["media" "readable"] ["store" "ca_file"]];
    named = paths: lib.unique (map (path: "${path}") (lib.filter (path: path != null) paths));
  in
    map (path: "${path}:${path}") (named writes)
    ++ map (path: "${path}:${path}:ro") (lib.subtractLists (named writes) (named reads));
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
        {
          assertion = hwaccel name != "jetson" && (!isJetson || hwaccel name == "none");
          message = "${at}: a Jetson's encoder was never tried in a container; leave container.enable out, or set ${at}.hwaccel to \"none\"";
        }
        {
          assertion = isJetson || !insists name || hasToolkit;
          message = "${at}: a container has NVIDIA's cards by hardware.nvidia-container-toolkit.enable; reelmill.hardware.nvidia.containers sets it";
        }
      ])
      contained);

    virtualisation.oci-containers.backend = "podman";
    virtualisation.oci-containers.containers = mapAttrs' (name: i:
      nameValuePair (container name) {
        inherit (i.container) image;
        cmd = ["--config" "/etc/reelmill/worker.toml"];
        autoStart = false;
        # By name, with the machine's own lists of names: its number is only known on the machine.
        user = "reelmill-worker";
        volumes =
          [
            "/etc/passwd:/etc/passwd:ro"
            "/etc/group:/etc/group:ro"
            "${(made name).checked}:/etc/reelmill/worker.toml:ro"
            "/var/cache/${instances.cache name}:/var/cache/reelmill-worker"
            "${counts}:${counts}"
          ]
          ++ optional ((credentials "" i).load != []) "/run/credentials/${unit name}:/run/credentials/${unit name}:ro"
          ++ mounts name;
        environment =
          {
            CACHE_DIRECTORY = "/var/cache/reelmill-worker";
            RUNTIME_DIRECTORY = counts;
            # An image has one of its own, which would win over the file.
            HWACCEL = hwaccel name;
          }
          // lib.optionalAttrs (isNumbered name) {GPU = "0";};
        devices = optional (hasToolkit && hwaccel name != "none") "nvidia.com/gpu=${card name}";
        extraOptions =
          [
            # Its status is for this machine alone, and so are the services that it may be told of by loopback addresses.
            "--network=host"
            "--read-only"
            "--tmpfs=/tmp"
            "--cap-drop=all"
            "--security-opt=no-new-privileges"
            "--stop-timeout=${toString (made name).stop}"
            "--pidfile=${pid name}"
            "--cgroup-parent=reelmill-workers.slice"
          ]
          ++ optional (i.container.credentialsFile != null) "--authfile=/run/credentials/${podman name}.service/registry"
          ++ optional i.container.plainHttp "--tls-verify=false"
          ++ optional (i.cpuQuota != null) "--cpus=${cpus i.cpuQuota}"
          ++ optional (i.memoryMax != null) "--memory=${lib.toLower i.memoryMax}";
      })
    contained;

    systemd.services = mkMerge (lib.mapAttrsToList (name: i: {
        # What is commanded of the instance's unit happens to the container. It has the user, the folders and the secrets, which
        # podman's own unit, being root's, would have for root alone.
        ${instances.unit name} = mkMerge [
          {
            description = "Reelmill transcode worker ${name}, in a container";
            wantedBy = ["multi-user.target"];
            wants = ["${podman name}.service"];
            serviceConfig = {
              Type = "exec";
              ExecStart = "${lib.getExe pass} ${pid name}";
              Restart = "always";
              RestartMode = "direct";
              User = "reelmill-worker";
              Group = "reelmill-worker";
              LoadCredential = (credentials "" i).load;
              CacheDirectory = instances.cache name;
              CacheDirectoryMode = "0700";
              RuntimeDirectory = baseNameOf counts;
              RuntimeDirectoryMode = "0700";
              RuntimeDirectoryPreserve = true;
            };
          }
          (instances.follower name)
        ];
        ${podman name} = {
          partOf = [(unit name)];
          requires = [(unit name)];
          after = [(unit name)];
          serviceConfig = {
            LoadCredential = mkIf (i.container.credentialsFile != null) ["registry:${i.container.credentialsFile}"];
            # Podman writes it for root alone.
            ExecStartPost = "${lib.getExe' pkgs.coreutils "chmod"} 0644 ${pid name}";
            # Longer than podman waits, which ends the worker itself then.
            TimeoutStopSec = mkForce "${toString ((made name).stop + 30)}s";
          };
        };
      })
      contained);
  };
}
