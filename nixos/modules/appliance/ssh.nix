# The way in for people: SSH, with keys only.
{
  config,
  lib,
  ...
}: let
  inherit (lib) mkDefault mkIf mkOption types;
  cfg = config.reelmill.appliance;
in {
  options.reelmill.appliance.ssh = {
    enable = lib.mkEnableOption "the way in by SSH, with keys only" // {default = true;};
    keys = mkOption {
      type = types.listOf types.singleLineStr;
      default = [];
      example = ["ssh-ed25519 AAAA... anna"];
      description = "Public keys that may log in as root, besides those that the first boot brought.";
    };
  };

  config = mkIf (cfg.enable && cfg.ssh.enable) {
    services.openssh = {
      enable = mkDefault true;
      # The firewall opens it, for whom it is said there.
      openFirewall = mkDefault false;
      authorizedKeysInHomedir = mkDefault false;
      # The second one only root can read, so that it lets in nobody but root.
      authorizedKeysFiles = ["/var/lib/reelmill-host/authorized_keys"];
      # Made on the machine at its first start.
      hostKeys = mkDefault [
        {
          type = "ed25519";
          path = "/var/lib/reelmill-host/ssh/host_ed25519";
        }
      ];
      settings = {
        PermitRootLogin = mkDefault "prohibit-password";
        PasswordAuthentication = mkDefault false;
        KbdInteractiveAuthentication = mkDefault false;
        AuthenticationMethods = mkDefault "publickey";
        X11Forwarding = mkDefault false;
        MaxAuthTries = mkDefault 3;
        LoginGraceTime = mkDefault 20;
        UseDns = mkDefault false;
      };
    };
    users.users.root.openssh.authorizedKeys.keys = cfg.ssh.keys;
  };
}
