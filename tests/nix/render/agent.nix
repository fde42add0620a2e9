# The agent's units and files, on a machine that its owner has turned it on.
{
  self,
  lib,
  ...
}: let
  render = import ../../../nixos/lib/render.nix {inherit self lib;};
  machine = modules: let
    config = render.machine modules;
  in
    render.units "reelmill-" config
    // render.etc config
    // {
      switching = render.switching "reelmill-" config;
      "polkit.rules" = config.security.polkit.extraConfig;
    };
in
  render.below "alone" (machine [{services.reelmill.agent.enable = true;}])
  // render.below "example" (machine [../../../nixos/profiles/examples/agent.nix ../../../nixos/profiles/examples/worker.nix])
  // {
    refused = render.refused {
      "a password in the store".services.reelmill.agent = {
        enable = true;
        settings.page.password = "hunter2";
      };
    };
  }
