# An image's root has a store, and a list of what that has. Nix is told of it at the first boot, before anything
# else may want to change the system.
{
  config,
  pkgs,
  ...
}: let
  list = "/nix-path-registration";
  nix = config.nix.package;
in {
  systemd.services.reelmill-store = {
    description = "Reelmill: tells Nix what the image brought, once";
    documentation = ["https://github.com/reelmill/reelmill"];
    unitConfig = {
      DefaultDependencies = false;
      ConditionPathExists = list;
    };
    # The root has no room for it until it has grown.
    after = ["local-fs.target" "systemd-repart.service" "systemd-growfs-root.service"];
    before = ["sysinit.target" "shutdown.target" "nix-daemon.socket" "nix-daemon.service"];
    conflicts = ["shutdown.target"];
    wantedBy = ["sysinit.target"];
    environment.HOME = "/root";
    serviceConfig = {
      Type = "oneshot";
      RemainAfterExit = true;
      StandardInput = "file:${list}";
      # Each can be done twice: where the power goes meanwhile, the next boot does all of it again.
      ExecStart = [
        "${nix}/bin/nix-store --load-db"
        "${nix}/bin/nix-env --profile /nix/var/nix/profiles/system --set /run/current-system"
        "${pkgs.coreutils}/bin/rm ${list}"
      ];
    };
  };
}
