# Harbor, as its containers: nine of them in a network of their own, with what its installer would write for them. nixpkgs has no
# module for it.
{
  config,
  lib,
  pkgs,
  ...
}: let
  inherit (lib) mkDefault mkIf mkOption types;
  inherit (import ../../lib/types.nix {inherit lib;}) mkSecretFile;
  hub = config.services.reelmill.hub;
  cfg = hub.registry.harbor;
  etc = config.environment.etc;
  on = hub.enable && hub.registry.kind == "harbor";
  data = "/var/lib/harbor";
  # Written by the setup, for Harbor's own user alone.
  own = "${data}/config";
  secret = name: "${hub.secretsFolder}/${name}";
  credential = name: "<</run/credentials/reelmill-hub-secrets.service/${name}>>";

  ownDatabase = cfg.database.host == null;
  ownRedis = cfg.redis.address == null;
  database = {
    host =
      if ownDatabase
      then "postgresql"
      else cfg.database.host;
    user =
      if ownDatabase
      then "postgres"
      else cfg.database.user;
    password =
      if ownDatabase
      then "<<harbor-database-password>>"
      else credential "harbor-database";
  };
  redis = {
    address =
      if ownRedis
      then "redis:6379"
      else cfg.redis.address;
    password = lib.optionalString (cfg.redis.passwordFile != null) (credential "harbor-redis");
  };
  redisUrl = number: let
    user = lib.optionalString (cfg.redis.passwordFile != null) ":${redis.password}@";
  in "redis://${user}${redis.address}/${toString number}?idle_timeout_seconds=30";
  # Files of secrets are lines, whose ends stand as `\n`.
  lines = attrs: lib.concatStrings (lib.mapAttrsToList (key: value: "${key}=${value}\\n") attrs);
  json = value: builtins.toJSON value + "\\n";

  urls = {
    CORE_URL = "http://core:8080";
    REGISTRY_URL = "http://registry:5000";
    REGISTRY_CONTROLLER_URL = "http://registryctl:8080";
  };
  shared = {
    CORE_SECRET = "<<harbor-core-secret>>";
    JOBSERVICE_SECRET = "<<harbor-jobservice-secret>>";
  };
  registryUser = {
    REGISTRY_CREDENTIAL_USERNAME = "harbor_registry_user";
    REGISTRY_CREDENTIAL_PASSWORD = "<<harbor-registry-password>>";
  };

  proxied = path: ''
    location ${path} {
      proxy_pass http://${
      if path == "/"
      then "portal"
      else "core"
    }:8080${path};
      proxy_set_header Host $http_host;
      proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $forwarded_proto;
      proxy_buffering off;
      proxy_request_buffering off;
      proxy_read_timeout 900;
      proxy_send_timeout 900;
    }
  '';
  server = text: ''
    worker_processes auto;
    pid /tmp/nginx.pid;
    events { worker_connections 1024; }
    http {
      client_body_temp_path /tmp/client_body_temp;
      proxy_temp_path /tmp/proxy_temp;
      fastcgi_temp_path /tmp/fastcgi_temp;
      uwsgi_temp_path /tmp/uwsgi_temp;
      scgi_temp_path /tmp/scgi_temp;
      access_log /dev/stdout;
      server_tokens off;
      ${text}
    }
  '';
  plain = {
    "app.conf" = ''
      appname = Harbor
      runmode = prod
      enablegzip = true

      [prod]
      httpport = 8080
    '';
    "registryctl.yml" = builtins.toJSON {
      protocol = "http";
      port = 8080;
      log_level = "info";
      registry_config = "/etc/registry/config.yml";
    };
    "nginx.conf" = server ''
      proxy_http_version 1.1;
      map $http_x_forwarded_proto $forwarded_proto {
        default $http_x_forwarded_proto;
        "" $scheme;
      }
      server {
        listen 8080;
        client_max_body_size 0;
        add_header X-Frame-Options DENY;
        add_header Content-Security-Policy "frame-ancestors 'none'";
        location /v1/ { return 404; }
        location /service/notifications { return 404; }
        ${lib.concatMapStrings proxied ["/" "/c/" "/api/" "/v2/" "/service/"]}
      }
    '';
    "portal.conf" = server ''
      include /etc/nginx/mime.types;
      server {
        listen 8080;
        root /usr/share/nginx/html;
        index index.html;
        location /devcenter-api-2.0 { try_files $uri $uri/ /swagger-ui-index.html; }
        location / { try_files $uri $uri/ /index.html; }
        location = /index.html { add_header Cache-Control "no-store, no-cache, must-revalidate"; }
      }
    '';
  };

  image = name:
    "docker.io/goharbor/${name}"
    + (
      if cfg.digests ? ${name}
      then "@${cfg.digests.${name}}"
      else ":${cfg.version}"
    );
  container = {
    name,
    from,
    caps ? ["CHOWN" "SETGID" "SETUID"],
    after ? [],
    ...
  } @ given:
    lib.recursiveUpdate {
      image = image from;
      pull = "missing";
      dependsOn = map (n: "harbor-${n}") after;
      extraOptions =
        ["--network=harbor" "--network-alias=${name}" "--cap-drop=ALL"]
        ++ map (cap: "--cap-add=${cap}") caps;
    } (removeAttrs given ["name" "from" "caps" "after"]);

  parts = lib.listToAttrs (map (part: lib.nameValuePair part.name part) (
    [
      {
        name = "registry";
        from = "registry-photon";
        volumes = ["${data}/registry:/storage" "${own}/registry:/etc/registry:ro"];
      }
      {
        name = "registryctl";
        from = "harbor-registryctl";
        environmentFiles = [(secret "harbor-registryctl.env")];
        volumes = ["${data}/registry:/storage" "${own}/registry:/etc/registry:ro" "${etc."reelmill/harbor/registryctl.yml".source}:/etc/registryctl/config.yml:ro"];
      }
      {
        name = "core";
        from = "harbor-core";
        caps = ["SETGID" "SETUID"];
        after = ["registry"] ++ lib.optional ownDatabase "postgresql" ++ lib.optional ownRedis "redis";
        environmentFiles = [(secret "harbor-core.env")];
        volumes = [
          "${data}/ca_download:/etc/core/ca"
          # It tells how full this is.
          "${data}/registry:/data:ro"
          "${etc."reelmill/harbor/app.conf".source}:/etc/core/app.conf:ro"
          "${own}/private_key.pem:/etc/core/private_key.pem:ro"
          "${own}/secretkey:/etc/core/key:ro"
        ];
      }
      {
        name = "portal";
        from = "harbor-portal";
        caps = ["CHOWN" "SETGID" "SETUID" "NET_BIND_SERVICE"];
        volumes = ["${etc."reelmill/harbor/portal.conf".source}:/etc/nginx/nginx.conf:ro"];
      }
      {
        name = "jobservice";
        from = "harbor-jobservice";
        after = ["core"];
        environmentFiles = [(secret "harbor-jobservice.env")];
        volumes = ["${data}/job_logs:/var/log/jobs" "${own}/jobservice.yml:/etc/jobservice/config.yml:ro"];
      }
      {
        name = "trivy-adapter";
        from = "trivy-adapter-photon";
        caps = [];
        after = lib.optional ownRedis "redis";
        environmentFiles = [(secret "harbor-trivy.env")];
        volumes = ["${data}/trivy/cache:/home/scanner/.cache/trivy" "${data}/trivy/reports:/home/scanner/.cache/reports"];
      }
      {
        name = "proxy";
        from = "nginx-photon";
        caps = ["CHOWN" "SETGID" "SETUID" "NET_BIND_SERVICE"];
        after = ["registry" "core" "portal"];
        ports = ["${hub.registry.listenAddress}:${toString hub.registry.port}:8080"];
        volumes = ["${etc."reelmill/harbor/nginx.conf".source}:/etc/nginx/nginx.conf:ro"];
      }
    ]
    ++ lib.optional ownDatabase {
      name = "postgresql";
      from = "harbor-db";
      caps = ["CHOWN" "DAC_OVERRIDE" "SETGID" "SETUID"];
      environmentFiles = [(secret "harbor-db.env")];
      volumes = ["${data}/database:/var/lib/postgresql/data"];
    }
    ++ lib.optional ownRedis {
      name = "redis";
      from = "redis-photon";
      volumes = ["${data}/redis:/var/lib/redis"];
    }
  ));
  setup = pkgs.writeShellApplication {
    name = "reelmill-harbor-setup";
    runtimeInputs = [pkgs.coreutils pkgs.openssl pkgs.apacheHttpd];
    text = builtins.readFile ./scripts/harbor-setup.sh;
  };
  pin = pkgs.writeShellApplication {
    name = "harbor-pin-digests";
    runtimeInputs = [pkgs.coreutils pkgs.skopeo pkgs.jq];
    text = builtins.readFile ./scripts/harbor-pin-digests.sh;
  };
in {
  options.services.reelmill.hub.registry.harbor = {
    version = mkOption {
      type = types.strMatching "v[0-9]+\\.[0-9]+\\.[0-9]+";
      default = "v2.15.2";
      description = ''
        Harbor's version: the tag of its images, which come from Docker Hub when they are first started. This build has not run
        them. What newer versions need besides is in their own notes; none is started by itself.
      '';
    };
    digests = mkOption {
      type = types.attrsOf (types.strMatching "sha256:[0-9a-f]{64}");
      default = {};
      example = {harbor-core = "sha256:…";};
      description = ''
        Digests of the images, by name, instead of the tag, which may be moved: `harbor-pin-digests v2.15.2` prints them where
        the network allows it.
      '';
    };
    url = mkOption {
      type = types.str;
      default = "http://${lib.head hub.names}:${toString hub.registry.port}";
      defaultText = lib.literalMD "the first of the hub's names, and the registry's port";
      description = "The address under which people and programs reach it; behind a proxy of yours, that one's.";
    };
    database = {
      host = mkOption {
        type = types.nullOr types.str;
        default = null;
        description = "A PostgreSQL of yours, as containers reach it. Without one Harbor brings its own.";
      };
      port = mkOption {
        type = types.port;
        default = 5432;
        description = "Its port.";
      };
      user = mkOption {
        type = types.str;
        default = "harbor";
        description = "The role at a PostgreSQL of yours.";
      };
      name = mkOption {
        type = types.str;
        default = "registry";
        description = "The database.";
      };
      sslMode = mkOption {
        type = types.enum ["disable" "require" "verify-ca" "verify-full"];
        default =
          if ownDatabase
          then "disable"
          else "verify-full";
        defaultText = lib.literalMD "`verify-full` for one of yours";
        description = "Whether the line to it is encrypted, and who vouches for it.";
      };
      passwordFile = mkSecretFile "the role's password at a PostgreSQL of yours";
    };
    redis = {
      address = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "10.0.0.3:6379";
        description = "A Redis of yours, as containers reach it. Without one Harbor brings its own.";
      };
      passwordFile = mkSecretFile "the password of a Redis of yours";
    };
  };

  config = mkIf on {
    warnings = ["services.reelmill.hub.registry.kind = \"harbor\": nobody has run this configuration of Harbor's containers yet."];
    assertions = [
      {
        assertion = ownDatabase || cfg.database.passwordFile != null;
        message = "services.reelmill.hub.registry.harbor.database.passwordFile is not set, and the PostgreSQL is yours.";
      }
      {
        assertion = ownRedis -> cfg.redis.passwordFile == null;
        message = "services.reelmill.hub.registry.harbor.redis.passwordFile is for a Redis of yours: set redis.address too.";
      }
    ];
    environment = {
      systemPackages = [pin];
      etc = lib.mapAttrs' (name: text: lib.nameValuePair "reelmill/harbor/${name}" {inherit text;}) plain;
    };
    virtualisation = {
      podman.enable = mkDefault true;
      oci-containers = {
        backend = "podman";
        containers = lib.mapAttrs' (name: part: lib.nameValuePair "harbor-${name}" (container part)) parts;
      };
    };

    services.reelmill.hub.generatedSecrets = {
      harbor-core-secret = "<<hex8>>";
      harbor-jobservice-secret = "<<hex8>>";
      harbor-csrf-key = "<<hex16>>";
      # What Harbor encrypts its own secrets with: 16 letters.
      harbor-secretkey = "<<hex8>>";
      harbor-registry-password = "<<hex16>>";
      harbor-admin-password = "Rm1<<hex12>>";
      harbor-database-password = "<<hex16>>";
      "harbor-db.env" = lines {POSTGRES_PASSWORD = "<<harbor-database-password>>";};
      "harbor-registryctl.env" = lines shared;
      "harbor-jobservice.env" = lines (shared
        // urls
        // registryUser
        // {
          JOBSERVICE_WEBHOOK_JOB_MAX_RETRY = "3";
          JOBSERVICE_WEBHOOK_JOB_HTTP_CLIENT_TIMEOUT = "3";
          LOG_LEVEL = "info";
        });
      "harbor-core.env" = lines (shared
        // urls
        // registryUser
        // {
          CONFIG_PATH = "/etc/core/app.conf";
          PORT = "8080";
          LOG_LEVEL = "info";
          EXT_ENDPOINT = cfg.url;
          _REDIS_URL_CORE = redisUrl 0;
          _REDIS_URL_REG = redisUrl 1;
          DATABASE_TYPE = "postgresql";
          POSTGRESQL_HOST = database.host;
          POSTGRESQL_PORT = toString cfg.database.port;
          POSTGRESQL_USERNAME = database.user;
          POSTGRESQL_PASSWORD = database.password;
          POSTGRESQL_DATABASE = cfg.database.name;
          POSTGRESQL_SSLMODE = cfg.database.sslMode;
          POSTGRESQL_MAX_IDLE_CONNS = "100";
          POSTGRESQL_MAX_OPEN_CONNS = "900";
          POSTGRESQL_CONN_MAX_LIFETIME = "5m";
          POSTGRESQL_CONN_MAX_IDLE_TIME = "0";
          PORTAL_URL = "http://portal:8080";
          TOKEN_SERVICE_URL = "http://core:8080/service/token";
          CORE_LOCAL_URL = "http://127.0.0.1:8080";
          JOBSERVICE_URL = "http://jobservice:8080";
          TRIVY_ADAPTER_URL = "http://trivy-adapter:8080";
          WITH_TRIVY = "true";
          HARBOR_ADMIN_PASSWORD = "<<harbor-admin-password>>";
          MAX_JOB_WORKERS = "10";
          REGISTRY_STORAGE_PROVIDER_NAME = "filesystem";
          READ_ONLY = "false";
          CSRF_KEY = "<<harbor-csrf-key>>";
          ROBOT_SCANNER_NAME_PREFIX = "reelmill";
          PERMITTED_REGISTRY_TYPES_FOR_PROXY_CACHE = "docker-hub,harbor,docker-registry,github-ghcr";
        });
      "harbor-trivy.env" = lines {
        SCANNER_LOG_LEVEL = "info";
        SCANNER_REDIS_URL = redisUrl 5;
        SCANNER_STORE_REDIS_URL = redisUrl 5;
        SCANNER_STORE_REDIS_NAMESPACE = "harbor.scanner.trivy:store";
        SCANNER_JOB_QUEUE_REDIS_URL = redisUrl 5;
        SCANNER_JOB_QUEUE_REDIS_NAMESPACE = "harbor.scanner.trivy:job-queue";
        SCANNER_TRIVY_CACHE_DIR = "/home/scanner/.cache/trivy";
        SCANNER_TRIVY_REPORTS_DIR = "/home/scanner/.cache/reports";
        SCANNER_TRIVY_VULN_TYPE = "os,library";
        SCANNER_TRIVY_SEVERITY = "UNKNOWN,LOW,MEDIUM,HIGH,CRITICAL";
        SCANNER_TRIVY_TIMEOUT = "5m0s";
      };
      # JSON is YAML too.
      "harbor-registry.yml" = json {
        version = "0.1";
        log = {
          level = "info";
          fields.service = "registry";
        };
        storage = {
          cache.layerinfo = "redis";
          filesystem.rootdirectory = "/storage";
          maintenance.uploadpurging = {
            enabled = true;
            age = "168h";
            interval = "24h";
            dryrun = false;
          };
          delete.enabled = true;
        };
        redis = {
          addr = redis.address;
          inherit (redis) password;
          db = 1;
          readtimeout = "10s";
          writetimeout = "10s";
          dialtimeout = "10s";
          pool = {
            maxidle = 100;
            maxactive = 500;
            idletimeout = "60s";
          };
        };
        http = {
          addr = ":5000";
          secret = "<<harbor-core-secret>>";
          debug.addr = "localhost:5001";
        };
        auth.htpasswd = {
          realm = "harbor-registry-basic-realm";
          path = "/etc/registry/passwd";
        };
        validation.disabled = true;
      };
      "harbor-jobservice.yml" = json {
        protocol = "http";
        port = 8080;
        worker_pool = {
          workers = 10;
          backend = "redis";
          redis_pool = {
            redis_url = redisUrl 2;
            namespace = "harbor_job_service_namespace";
            idle_timeout_second = 3600;
          };
        };
        job_loggers = [
          {
            name = "FILE";
            level = "INFO";
            settings.base_dir = "/var/log/jobs";
            sweeper = {
              duration = 14;
              settings.work_dir = "/var/log/jobs";
            };
          }
        ];
        loggers = [
          {
            name = "STD_OUTPUT";
            level = "INFO";
          }
        ];
        reaper = {
          max_update_hours = 24;
          max_dangling_hours = 168;
        };
        max_retrieve_size_mb = 10;
      };
    };

    systemd.services =
      {
        reelmill-hub-secrets.serviceConfig.LoadCredential =
          lib.optional (cfg.database.passwordFile != null) "harbor-database:${cfg.database.passwordFile}"
          ++ lib.optional (cfg.redis.passwordFile != null) "harbor-redis:${cfg.redis.passwordFile}";
        reelmill-harbor-setup = {
          description = "Reelmill: Harbor's folders, keys and network";
          requires = ["reelmill-hub-secrets.service"];
          after = ["reelmill-hub-secrets.service"];
          serviceConfig =
            import ../../lib/hardened.nix
            // {
              Type = "oneshot";
              RemainAfterExit = true;
              ExecStart = "${lib.getExe setup} ${data} ${hub.secretsFolder}";
              # A container engine needs all that root may.
              ExecStartPost = "+${pkgs.podman}/bin/podman network create --ignore harbor";
              StateDirectory = "harbor";
              StateDirectoryMode = "0755";
              # It gives the folders to the users of Harbor's images, and reads the hub's secrets.
              CapabilityBoundingSet = "CAP_CHOWN CAP_DAC_OVERRIDE";
              SystemCallFilter = ["@system-service" "~@resources @memlock @keyring"];
              PrivateNetwork = true;
              RestrictAddressFamilies = "AF_UNIX";
            };
        };
      }
      // lib.mapAttrs' (name: _:
        lib.nameValuePair "podman-harbor-${name}" {
          requires = ["reelmill-harbor-setup.service"];
          after = ["reelmill-harbor-setup.service"];
        })
      parts;
  };
}
