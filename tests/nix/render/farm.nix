# A farm of a hub and nodes, and one of a single machine, to be booted: all units of ours, and what the services of NixOS that it
# needs are told. The store is somebody else's.
{
  self,
  lib,
  ...
}: let
  render = import ../../../nixos/lib/render.nix {inherit self lib;};
  inherit (import ../lib/hub.nix {inherit self lib;}) lines;
  machine = modules:
    (self.inputs.nixpkgs.lib.nixosSystem {
      modules =
        [
          self.nixosModules.default
          self.nixosModules.cpu
          {nixpkgs.hostPlatform = "x86_64-linux";}
        ]
        ++ modules;
    })
    .config;
  # As systemd-sysusers reads it.
  users = config: let
    ours = lib.filterAttrs (name: _: lib.hasPrefix "reelmill" name) config.users.users;
  in
    lib.concatStrings (lib.mapAttrsToList (name: user:
      "u ${name} - \"${user.description}\" ${user.home}\n"
      + lib.concatMapStrings (group: "m ${name} ${group}\n") user.extraGroups)
    ours);
  of = config:
    render.units "reelmill-" config
    // render.etc config
    // {
      "sysusers.conf" = users config;
      "polkit.rules" = config.security.polkit.extraConfig;
    };

  known = {
    names = ["hub.lab"];
    store = {
      kind = "external";
      endpoint = "http://store.lab:3900";
    };
    accessKeyFile = "/var/lib/secrets/access";
    secretKeyFile = "/var/lib/secrets/secret";
    monitoring = {
      enable = true;
      grafana.enable = false;
      prometheus.interval = "1s";
    };
  };
  # Its clock is that of the machine below it.
  clock = {
    settings.broker.clock_is_right = true;
    helper.settings.CLOCK_IS_RIGHT = true;
  };
  hub = machine [
    ../../../nixos/profiles/hub.nix
    {
      networking.hostName = "hub";
      services.reelmill.hub = known;
    }
    {services.reelmill.hub.monitoring.nodePasswordFile = "/var/lib/secrets/page";}
  ];
  node = machine [
    ../../../nixos/profiles/node.nix
    {
      networking.hostName = "node";
      services.reelmill.agent = clock;
    }
    {
      services.reelmill.agent = {
        settings.page.listen = ["0.0.0.0:9310"];
        pagePasswordFile = "/var/lib/secrets/page";
      };
    }
  ];
  alone = machine [
    ../../../nixos/profiles/all-in-one.nix
    {
      networking.hostName = "alone";
      services.reelmill = {
        hub = known;
        agent = clock;
      };
    }
  ];
  server = hub.services.redis.servers.reelmill;
  json = import ../lib/pretty.nix {inherit lib;};
  monitoring = hub.services.reelmill.hub.monitoring;
  mosquitto = import ./broker.nix {
    inherit self lib;
    unit = _: _: "";
  };
in
  render.below "hub" (of hub)
  // render.below "node" (of node)
  // render.below "all-in-one" (of alone)
  // {
    "hub/redis.conf" =
      lines " " {
        inherit (server) port bind;
        appendonly = "yes";
        appendfsync = server.appendFsync;
        dir = "/var/lib/redis";
      }
      + lines " " server.settings;
    "hub/prometheus.json" = json {
      global = lib.filterAttrs (_: value: value != null) hub.services.prometheus.globalConfig;
      scrape_configs = monitoring.scrape;
      rule_files = ["rules.json"];
    };
    "hub/rules.json" = json monitoring.rules;
    "hub/mosquitto.conf" = mosquitto."mosquitto.conf";
    "hub/acl-0.conf" = mosquitto."acl-0.conf";
    "hub/acl-1.conf" = mosquitto."acl-1.conf";
  }
