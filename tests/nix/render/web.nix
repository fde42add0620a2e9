# The proxy before the hub's page, as nginx' module writes it.
{
  self,
  lib,
  ...
}: let
  inherit (import ../lib/hub.nix {inherit self lib;}) hub;
  config = hub {
    web = {
      kind = "nginx";
      certFile = "/var/lib/secrets/hub.pem";
      keyFile = "/var/lib/secrets/hub.key";
      passwordFile = "/var/lib/secrets/users";
    };
  };
  nginx = config.services.nginx;
  host = nginx.virtualHosts."hub.example.net";
in {
  "nginx.conf" = ''
    ${nginx.commonHttpConfig}
    server {
      listen 443 ssl;
      server_name hub.example.net;
      ssl_certificate ${host.sslCertificate};
      ssl_certificate_key ${host.sslCertificateKey};
      location / {
        proxy_pass ${host.locations."/".proxyPass};
        auth_basic secured;
        auth_basic_user_file ${host.basicAuthFile};
        ${host.locations."/".extraConfig}
      }
    }
  '';
  "credentials" = lib.concatMapStrings (line: line + "\n") config.systemd.services.nginx.serviceConfig.LoadCredential;
}
