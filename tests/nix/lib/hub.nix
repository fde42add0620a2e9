# A hub with some of its services, and what their modules of NixOS would write of their options: those modules are not ours.
{
  self,
  lib,
}: rec {
  # The configuration of a machine with the hub and these options besides, below `services.reelmill.hub`.
  hub = options:
    (self.inputs.nixpkgs.lib.nixosSystem {
      modules = [
        self.nixosModules.default
        ../../../nixos/profiles/hub.nix
        {
          nixpkgs.hostPlatform = "x86_64-linux";
          networking.hostName = "hub";
          services.reelmill.hub =
            {
              enable = true;
              names = ["hub.example.net" "10.0.0.2"];
            }
            // options;
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

  # A file below /etc/reelmill.
  etc = config: name: let
    file = config.environment.etc."reelmill/${name}";
  in
    if file.text != null
    then file.text
    else file.source.file.text;
}
