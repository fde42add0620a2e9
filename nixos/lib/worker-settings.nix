# What an instance's options say, as the worker's own settings.
{
  lib,
  pkgs,
  cfg,
  instances,
}: name: let
  instance = cfg.instances.${name};
  credentials = import ./credentials.nix {inherit lib;};
  toml = import ./settings.nix {inherit lib pkgs;};
  inherit (lib) recursiveUpdate;

  # The lesser of what is said of sessions and what is planned of the GPU's memory.
  sessions = lib.filter (n: n != null) [
    instance.nvencSessions
    (
      if instance.gpuMemoryMiB == null
      then null
      else instance.gpuMemoryMiB / instance.gpuMemoryPerSessionMiB
    )
  ];
  said = {
    inherit (instance) presets hwaccel tags;
    concurrency = instances.concurrency.${name};
    nvenc_preset = instance.nvencPreset;
    preset_folder = instance.presetFolder;
    status.listen = "127.0.0.1:${toString instances.port.${name}}";
    media = {
      inherit (instance) gpu;
      nvenc_sessions =
        if sessions == []
        then null
        else lib.foldl' lib.min (lib.head sessions) sessions;
    };
  };
  # What the workers of the node count together.
  counted = lib.filterAttrs (_: most: most != null) {
    node_concurrency = cfg.node.concurrency;
    pixel_budget = cfg.node.pixelBudget;
  };
  node = lib.optionalAttrs (counted != {}) {admission = counted;};
  references = (credentials "${instances.unit name}.service" instance).values;
  settings = lib.foldl' recursiveUpdate {} [said node references cfg.settings instance.settings];
in
  toml {
    name = "worker-${name}";
    inherit settings;
    inherit (cfg) package;
    program = "reelmill-worker";
  }
  // {
    inherit settings;
    # The deadline for a drain, and half a minute to hand back what is left.
    stop = lib.attrByPath ["drain" "deadline_seconds"] 60 settings + 30;
    # Folders that it may write to beside its own.
    writes =
      lib.attrByPath ["files" "write"] [] settings
      ++ lib.optional ((settings.media.spool or null) != null) settings.media.spool;
  }
