# The servers for secrets.
{
  self,
  lib,
  ...
}: let
  inherit (import ../lib/hub.nix {inherit self lib;}) hub hubWith lines unit;
  openbao = hub {secrets.kind = "openbao";};
  vault = hubWith {secrets.kind = "vault";} {nixpkgs.config.allowUnfree = true;};
in {
  "openbao.json" = builtins.toJSON openbao.services.openbao.settings;
  "openbao-credential" = lines "" {LoadCredentialEncrypted = "=${toString openbao.systemd.services.openbao.serviceConfig.LoadCredentialEncrypted}";};
  "reelmill-seal-key.service" = unit openbao "reelmill-seal-key.service";
  "reelmill-secrets-setup.service" = unit openbao "reelmill-secrets-setup.service";
  # As its module writes it.
  "vault.hcl" = ''
    listener "tcp" {
      address = "${vault.services.vault.address}"
      tls_disable = "true"
    }
    storage "${vault.services.vault.storageBackend}" {
      path = "${vault.services.vault.storagePath}"
      ${vault.services.vault.storageConfig}
    }
    ${vault.services.vault.extraConfig}
  '';
}
