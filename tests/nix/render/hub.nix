# The hub program's unit and settings.
{
  self,
  lib,
  ...
}: let
  render = import ../../../nixos/lib/render.nix {inherit self lib;};
  machine = module: let
    config = render.machine [module];
  in
    render.units "reelmill-hub.service" config // render.etc config;
in
  render.below "program/alone" (machine {services.reelmill.hub.enable = true;})
  // render.below "program/example" (machine ../../../nixos/profiles/examples/hub.nix)
  // {
    "program/refused" = render.refused {
      "keys in the store".services.reelmill.hub = {
        enable = true;
        settings.store.access_key = "me";
        settings.store.secret_key = "hunter2";
        settings.queue.url = "amqp://me:hunter2@hub";
      };
    };
  }
