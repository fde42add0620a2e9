# The hub's page for people on other machines: a proxy that asks who they are, because the hub does not.
{
  config,
  lib,
  ...
}: let
  inherit (lib) mkIf mkMerge mkOption types;
  inherit (import ../../lib/types.nix {inherit lib;}) mkSecretFile;
  hub = config.services.reelmill.hub;
  cfg = hub.web;
  upstream = "http://${hub.settings.listen}";
in {
  options.services.reelmill.hub.web = {
    kind = mkOption {
      type = types.enum ["none" "nginx" "external"];
      default = "none";
      description = ''
        How people on other machines reach the hub's page and API. The hub asks nobody who they are, so it listens on loopback,
        and answers only requests that name a loopback host. `nginx` asks for a name and a password, by TLS, and hands on what it
        lets in. `external` is a proxy of yours: docs/operate/services.md says what it must do.
      '';
    };
    host = mkOption {
      type = types.str;
      default = lib.head hub.names;
      defaultText = lib.literalExpression "head config.services.reelmill.hub.names";
      description = "The name under which the page is reached.";
    };
    certFile = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = "/var/lib/secrets/hub.pem";
      description = "PEM file with the page's certificate. Without one, one is asked for by ACME (`security.acme`).";
    };
    keyFile = mkSecretFile "the certificate's key, PEM";
    passwordFile = mkSecretFile "names and passwords, a line for each, as `htpasswd -B` writes them";
    openFirewall = mkOption {
      type = types.bool;
      default = true;
      description = "Whether the firewall lets everybody reach the page's port, 443.";
    };
  };

  config = mkIf (hub.enable && cfg.kind == "nginx") (mkMerge [
    {
      assertions = [
        {
          assertion = cfg.passwordFile != null;
          message = "services.reelmill.hub.web.passwordFile is not set: whoever reaches the page may command the farm.";
        }
        {
          assertion = (cfg.certFile == null) == (cfg.keyFile == null);
          message = "services.reelmill.hub.web: set both certFile and keyFile, or neither.";
        }
      ];
      networking.firewall.allowedTCPPorts = mkIf cfg.openFirewall [443];
      services.nginx = {
        enable = true;
        # The hub wants to be meant: a page of another site keeps its own Origin, and is refused.
        commonHttpConfig = ''
          map $http_origin $reelmill_origin {
            default $http_origin;
            "https://${cfg.host}" "${upstream}";
          }
        '';
        virtualHosts.${cfg.host} = mkMerge [
          {
            onlySSL = true;
            basicAuthFile = "/run/credentials/nginx.service/reelmill-users";
            locations."/" = {
              proxyPass = upstream;
              extraConfig = ''
                proxy_http_version 1.1;
                proxy_set_header Host ${hub.settings.listen};
                proxy_set_header Origin $reelmill_origin;
                proxy_set_header Authorization "";
                proxy_set_header Connection "";
                # Events are told when they happen, and media is never kept here.
                proxy_buffering off;
                proxy_request_buffering off;
                proxy_read_timeout 1h;
                client_max_body_size 0;
              '';
            };
          }
          (mkIf (cfg.certFile != null) {
            sslCertificate = "/run/credentials/nginx.service/reelmill-cert";
            sslCertificateKey = "/run/credentials/nginx.service/reelmill-key";
          })
          (mkIf (cfg.certFile == null) {enableACME = true;})
        ];
      };
      systemd.services.nginx.serviceConfig.LoadCredential =
        ["reelmill-users:${toString cfg.passwordFile}"]
        ++ lib.optional (cfg.certFile != null) "reelmill-cert:${cfg.certFile}"
        ++ lib.optional (cfg.keyFile != null) "reelmill-key:${cfg.keyFile}";
    }
  ]);
}
