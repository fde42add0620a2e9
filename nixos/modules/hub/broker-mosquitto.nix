# Mosquitto as the fleet's broker: who may say what is in hub/acl, which the tests of the agent run on too, and who is who is
# told by certificates that the hub's authority makes.
{
  config,
  lib,
  pkgs,
  ...
}: let
  inherit (lib) mkIf;
  hub = config.services.reelmill.hub;
  cfg = hub.broker;
  # Where Mosquitto finds its certificate; the hub's own are in the hub's folder.
  folder = "/var/lib/reelmill-broker";
  acl = file: lib.filter (line: line != "") (lib.splitString "\n" (builtins.readFile file));
  listener = port: file: more: {
    inherit port;
    # Who is who is told by certificates alone.
    omitPasswordAuth = true;
    acl = acl file;
    settings =
      {
        cafile = "${folder}/ca.pem";
        crlfile = "${folder}/crl.pem";
        certfile = "${folder}/broker.pem";
        keyfile = "${folder}/broker.key";
        require_certificate = true;
        use_identity_as_username = true;
      }
      // more;
  };
  data = hub.settings.data;
in {
  config = mkIf (hub.enable && cfg.kind == "mosquitto") {
    services.mosquitto = {
      enable = true;
      settings = {
        # What waits for a node that is away; a node's session is kept for as long as its certificate is good.
        max_queued_messages = 2000;
        persistent_client_expiration = "30d";
        message_size_limit = 262144;
      };
      listeners = [
        (listener cfg.nodePort ../../../hub/acl/nodes.acl {use_username_as_clientid = true;})
        (listener cfg.operatorPort ../../../hub/acl/operators.acl {})
      ];
    };
    networking.firewall.allowedTCPPorts = mkIf cfg.openFirewall [cfg.nodePort cfg.operatorPort];

    services.reelmill.hub.settings.fleet = lib.mapAttrs (_: lib.mkDefault) {
      broker = lib.head hub.names;
      port = cfg.operatorPort;
      node_port = cfg.nodePort;
      ca = "${data}/fleet/ca.pem";
      cert = "${data}/fleet/hub.pem";
      key = "${data}/fleet/hub.key";
    };

    systemd.services = {
      # Made anew at each start of the machine, each week, and when a node is put out.
      reelmill-broker-identity = {
        description = "Reelmill: the broker's certificate and the list of what is revoked";
        requiredBy = ["mosquitto.service"];
        before = ["mosquitto.service" "reelmill-hub.service"];
        wants = ["reelmill-hub-secrets.service"];
        after = ["reelmill-hub-secrets.service"];
        serviceConfig =
          import ../../lib/hardened.nix
          // {
            Type = "oneshot";
            User = "reelmill-hub";
            # Mosquitto reads its files by its group.
            Group = "mosquitto";
            StateDirectory = "reelmill-broker";
            StateDirectoryMode = "0750";
            ReadWritePaths = [data];
            ExecStart = lib.escapeShellArgs ([
                "${hub.package}/bin/reelmill-hub"
                "ca"
                "broker"
                "--data"
                data
                "--out"
                folder
              ]
              ++ lib.concatMap (name: ["--name" name]) hub.names);
            # As root: telling a unit of another user.
            ExecStartPost = "+${pkgs.systemd}/bin/systemctl try-reload-or-restart --no-block mosquitto.service";
            PrivateNetwork = true;
            RestrictAddressFamilies = "AF_UNIX";
          };
      };
      mosquitto.after = ["reelmill-broker-identity.service"];
      reelmill-hub = {
        wants = ["mosquitto.service"];
        after = ["mosquitto.service"];
      };
    };
    systemd.timers.reelmill-broker-identity = {
      description = "Reelmill: renews the broker's certificate";
      wantedBy = ["timers.target"];
      timerConfig = {
        OnCalendar = "weekly";
        RandomizedDelaySec = "6h";
      };
    };
    systemd.paths.reelmill-broker-identity = {
      description = "Reelmill: watches for nodes that are put out of the farm";
      wantedBy = ["multi-user.target"];
      pathConfig.PathChanged = "${data}/ca/crl.pem";
    };
  };
}
