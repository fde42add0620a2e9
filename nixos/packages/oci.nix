# The worker as OCI images: one for each way to encode. They are archives and no streams, so that whoever pushes them may have
# another architecture.
{
  lib,
  dockerTools,
  stdenvNoCC,
}: {
  # What comes after `worker-` in its name.
  kind,
  worker,
  environment,
}:
dockerTools.buildLayeredImage {
  name = "reelmill/worker-${kind}";
  tag = worker.version;
  contents = [worker dockerTools.caCertificates dockerTools.fakeNss];
  # Where single files are made, see SPOOL_FOLDER.
  extraCommands = "mkdir -m 1777 tmp";
  config = {
    Entrypoint = [(lib.getExe worker)];
    # Nobody's in particular; media programs run as the same, and confined.
    User = "900:900";
    WorkingDir = "/tmp";
    Env = lib.mapAttrsToList (name: value: "${name}=${value}") environment;
    StopSignal = "SIGTERM";
    Labels = {
      "org.opencontainers.image.title" = "Reelmill worker (${kind})";
      "org.opencontainers.image.version" = worker.version;
      "org.opencontainers.image.licenses" = worker.meta.license.spdxId or "Apache-2.0";
      "org.reelmill.system" = stdenvNoCC.hostPlatform.system;
    };
  };
}
