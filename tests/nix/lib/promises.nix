# What a test's script takes for granted of its machines, held against the machines themselves: each unit that it waits for, each
# secret of the hub's that it reads, and the broker that its commands go by. Nobody runs these tests where there is no KVM, so nobody else would notice.
{lib}: name: test: let
  # Units that only NixOS' own modules know in full: what brings them.
  byNixos = {
    "multi-user.target" = _: true;
    "alertmanager.service" = c: c.services.prometheus.alertmanager.enable;
    "docker-registry.service" = c: c.services.dockerRegistry.enable;
    "garage.service" = c: c.services.garage.enable;
    "grafana.service" = c: c.services.grafana.enable;
    "mosquitto.service" = c: c.services.mosquitto.enable;
    "openbao.service" = c: c.services.openbao.enable;
    "postgresql.service" = c: c.services.postgresql.enable;
    "prometheus.service" = c: c.services.prometheus.enable;
    "redis-reelmill.service" = c: c.services.redis.servers.reelmill.enable or false;
  };
  runs = config: unit:
    if byNixos ? ${unit}
    then byNixos.${unit} config
    else config.systemd.services.${lib.removeSuffix ".service" unit}.serviceConfig.ExecStart or null != null;

  # What a pattern's groups catch, at each place of the script.
  caught = pattern: lib.filter lib.isList (builtins.split pattern test.testScript);
  waits = caught "([a-z]+)\\.wait_for_unit\\(([^)]*)\\)";
  reads = lib.unique (map lib.head (caught "\\{SECRETS}/([a-z.-]+)"));

  # What several tests share speaks of machines that not each of them has.
  missing = wait: let
    machine = lib.elemAt wait 0;
    unit = builtins.match "\"([^\"{}]+)\"" (lib.elemAt wait 1);
  in
    lib.optional (test.nodes ? ${machine}) (
      if unit == null
      then "${machine}.wait_for_unit(${lib.elemAt wait 1}): the unit's name must stand there as it is"
      else lib.optional (!runs test.nodes.${machine} (lib.head unit)) "${machine} has no ${lib.head unit}"
    );
  unread = secret: lib.optional (test.nodes ? hub && !(test.nodes.hub.services.reelmill.hub.generatedSecrets ? ${secret})) "hub draws no ${secret}";
  silent = lib.optional (test.nodes ? hub && test.nodes.hub.services.reelmill.hub.broker.kind == "none") "hub has no broker";
  faults = lib.unique (lib.flatten (map missing waits ++ map unread reads) ++ silent);
in
  if waits == []
  then throw "the NixOS test ${name} waits for no unit: has wait_for_unit another name now?"
  else lib.throwIf (faults != []) "the NixOS test ${name} cannot pass: ${lib.concatStringsSep "; " faults}" test.testScript
