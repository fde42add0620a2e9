# The stores: what they are set to, and what the hub is told of them.
{
  self,
  lib,
  ...
}: let
  inherit (import ../lib/hub.nix {inherit self lib;}) etc hub lines unit;
  garage = hub {};
  minio = hub {store.kind = "minio";};
  rustfs = hub {store.kind = "rustfs";};
  external = hub {
    store = {
      kind = "external";
      endpoint = "https://s3.example.net";
    };
    accessKeyFile = "/var/lib/secrets/access";
    secretKeyFile = "/var/lib/secrets/secret";
  };
  toml = (import self.inputs.nixpkgs {system = "x86_64-linux";}).formats.toml {};
in {
  "garage.toml" = (toml.generate "garage.toml" garage.services.garage.settings).text;
  "garage-secrets" = etc garage "hub-secrets";
  "garage-rights" = etc garage "store-rights";
  "garage-environment-file" = garage.services.garage.environmentFile + "\n";
  "hub.toml" = etc garage "hub.toml";
  "hub-external.toml" = etc external "hub.toml";
  "reelmill-store-setup.service" = unit garage "reelmill-store-setup.service";
  "minio" = lines " = " {inherit (minio.services.minio) listenAddress rootCredentialsFile region browser;};
  "minio-setup.service" = unit minio "reelmill-store-setup.service";
  "minio-secrets" = etc minio "hub-secrets";
  "rustfs.service" = unit rustfs "rustfs.service";
  "warnings" = lib.concatStrings minio.warnings;
}
