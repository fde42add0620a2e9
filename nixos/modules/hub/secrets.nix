# A server for secrets: OpenBao, or Vault. It opens itself when the machine starts, with a key that systemd keeps encrypted.
{
  config,
  lib,
  pkgs,
  ...
}: let
  inherit (lib) mkIf mkMerge mkOption types;
  hub = config.services.reelmill.hub;
  cfg = hub.secrets;
  folder = "/var/lib/reelmill-hub-secrets";
  address = "http://127.0.0.1:8200";
  seal-key = pkgs.writeShellApplication {
    name = "reelmill-seal-key";
    runtimeInputs = [pkgs.coreutils pkgs.systemd];
    text = builtins.readFile ./scripts/seal-key.sh;
  };
  setup = pkgs.writeShellApplication {
    name = "reelmill-secrets-setup";
    runtimeInputs = [pkgs.coreutils pkgs.curl pkgs.jq pkgs.systemd];
    text = builtins.readFile ./scripts/vault-setup.sh;
  };
  unit = "${cfg.kind}.service";
  # Of both units that seal and open, as root: systemd makes this machine's own key when it is first needed, asks the TPM where there
  # is one, and looks at what it runs on.
  sealing =
    import ../../lib/hardened.nix
    // {
      Type = "oneshot";
      StateDirectory = "reelmill-hub-secrets";
      StateDirectoryMode = "0700";
      ReadWritePaths = ["/var/lib/systemd"];
      PrivateDevices = false;
      DeviceAllow = ["/dev/tpmrm0 rw"];
      ProcSubset = "all";
    };
in {
  options.services.reelmill.hub.secrets = {
    kind = mkOption {
      type = types.enum ["none" "openbao" "vault" "external"];
      default = "none";
      description = ''
        A server for secrets. The hub and the workers read theirs from files, so none is needed; it is for yours. `openbao` and
        `vault` are set up on loopback with a key-value store (version 2) at `kv/`, and policies for hub, workers and operators.
        Vault's licence is not free (`nixpkgs.config.allowUnfree`). With `external` nothing is set up; it says that you have one.

        The server opens itself after each start, because an appliance has nobody at its keyboard. What opens it lies on this
        machine, encrypted by systemd with the TPM where there is one, and with a key of this machine else. So it protects
        against a disk that is lost or sold, and against a copied file; not against somebody who takes the whole machine and
        starts it, nor against whoever is root on it. Without a TPM, a copy of the whole disk opens it too.
      '';
    };
  };

  config = mkIf (hub.enable && lib.elem cfg.kind ["openbao" "vault"]) (mkMerge [
    {
      systemd.services.reelmill-secrets-setup = {
        description = "Reelmill: opens the server for secrets, and makes what Reelmill needs in it";
        wantedBy = ["multi-user.target"];
        # With the server: a Vault that was started again is closed.
        partOf = [unit];
        requires = [unit];
        after = [unit];
        serviceConfig =
          sealing
          // {
            RemainAfterExit = true;
            ExecStart = "${lib.getExe setup} ${address} ${folder} ${./policies}";
            Restart = "on-failure";
            RestartSec = "5s";
          };
      };
    }
    (mkIf (cfg.kind == "openbao") {
      services.openbao = {
        enable = true;
        settings = {
          ui = false;
          api_addr = address;
          cluster_addr = "http://127.0.0.1:8201";
          # Loopback only, so there is nobody to listen in.
          listener.default = {
            type = "tcp";
            address = "127.0.0.1:8200";
            tls_disable = true;
          };
          storage.raft = {
            path = "/var/lib/openbao";
            node_id = "hub";
          };
          seal.static = {
            current_key_id = "1";
            current_key = "file:///run/credentials/openbao.service/unseal";
          };
        };
      };
      systemd.services = {
        reelmill-seal-key = {
          description = "Reelmill: draws the key that opens OpenBao";
          requiredBy = [unit];
          before = [unit];
          serviceConfig =
            sealing
            // {
              RemainAfterExit = true;
              ExecStart = "${lib.getExe seal-key} ${folder}/unseal.cred";
              PrivateNetwork = true;
              RestrictAddressFamilies = "AF_UNIX";
            };
        };
        openbao.serviceConfig.LoadCredentialEncrypted = ["unseal:${folder}/unseal.cred"];
      };
    })
    (mkIf (cfg.kind == "vault") {
      services.vault = {
        enable = true;
        address = "127.0.0.1:8200";
        storageBackend = "raft";
        storagePath = "/var/lib/vault";
        storageConfig = ''
          node_id = "hub"
        '';
        extraConfig = ''
          ui = false
          api_addr = "${address}"
          cluster_addr = "http://127.0.0.1:8201"
        '';
      };
    })
  ]);
}
