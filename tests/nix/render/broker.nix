# Mosquitto as the fleet's broker: its settings as its module of NixOS writes them, and the units that give it its certificate.
{
  self,
  lib,
  ...
}: let
  inherit (import ../lib/hub.nix {inherit self lib;}) hub lines word unit;
  mosquitto = hub {broker.kind = "mosquitto";};
  cfg = mosquitto.services.mosquitto;
  listener = index: l: ''
    listener ${word l.port} ${
      if l.address == null
      then ""
      else l.address
    }
    acl_file ${cfg.dataDir}/acl-${word index}.conf
    ${lib.optionalString (!l.omitPasswordAuth) "password_file ${cfg.dataDir}/passwd-${word index}\n"}${lines " " l.settings}'';
  embedded = hub {broker.kind = "embedded";};
  external = hub {
    broker = {
      kind = "external";
      host = "broker.example.net";
      caFile = "/etc/reelmill/ca.pem";
      certFile = "/etc/reelmill/hub.pem";
      keyFile = "/var/lib/secrets/hub.key";
    };
  };
  fleet = config: lines " = " config.services.reelmill.hub.settings.fleet;
in
  {
    "mosquitto.conf" =
      ''
        per_listener_settings true
        persistence ${word cfg.persistence}
      ''
      + lib.concatMapStrings (to: "log_dest ${to}\n") cfg.logDest
      + lines " " cfg.settings
      + lib.concatStrings (lib.imap0 listener cfg.listeners);
    "reelmill-broker-identity.service" = unit mosquitto "reelmill-broker-identity.service";
    "reelmill-broker-identity.path" = unit mosquitto "reelmill-broker-identity.path";
    "reelmill-broker-identity.timer" = unit mosquitto "reelmill-broker-identity.timer";
    "fleet-mosquitto" = fleet mosquitto;
    "fleet-embedded" = fleet embedded;
    "fleet-external" = fleet external;
  }
  // lib.listToAttrs (lib.imap0 (index: l: {
      name = "acl-${word index}.conf";
      value = lib.concatStringsSep "\n" l.acl;
    })
    cfg.listeners)
