# A hub with some of its services, and what their modules of NixOS would write of their options: those modules are not ours.
{
  self,
  lib,
}: rec {
  # A machine with the hub, the services that its appliance has, and these options below `services.reelmill.hub`.
  hub = options: hubWith options {};

  # The same, and options of the machine.
  hubWith = options: machine:
    (self.inputs.nixpkgs.lib.nixosSystem {
      modules = [
        self.nixosModules.default
        machine
        {services.reelmill.hub = options;}
        {
          nixpkgs.hostPlatform = "x86_64-linux";
          networking.hostName = "hub";
          system.stateVersion = "26.05";
          boot.loader.systemd-boot.enable = true;
          fileSystems."/" = {
            device = "/dev/disk/by-label/root";
            fsType = "ext4";
          };
          services.reelmill.hub = {
            enable = true;
            names = ["hub.example.net" "10.0.0.2"];
            store.kind = lib.mkDefault "garage";
            queue.kind = lib.mkDefault "redis";
            broker.kind = lib.mkDefault "mosquitto";
          };
        }
      ];
    })
    .config;

  # `key value` in lines.
  lines = separator: attrs:
    lib.concatStrings (lib.mapAttrsToList (key: value: "${key}${separator}${word value}\n") attrs);

  word = value:
    if lib.isBool value
    then lib.boolToString value
    else if lib.isList value
    then lib.concatMapStringsSep " " word value
    else toString value;

  # A unit's text. Where nobody has set a limit, an evaluation that stands in for nixpkgs writes one.
  unit = config: name: lib.replaceStrings ["StartLimitBurst=1\nStartLimitIntervalSec=1\n" "StartLimitBurst=1\n"] ["" ""] config.systemd.units.${name}.text;

  # What is said against these options.
  refused = options: lib.concatMapStrings (a: lib.optionalString (!a.assertion) (lib.trim a.message + "\n")) (hub options).assertions;

  # A file below /etc/reelmill.
  etc = config: name: let
    file = config.environment.etc."reelmill/${name}";
  in
    if file.text != null
    then file.text
    else file.source.file.text;
}
