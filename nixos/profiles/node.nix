# A node of the farm: it works for the queue of a hub that its join file names.
{lib, ...}: {
  system.stateVersion = lib.mkDefault "26.05";
  reelmill.appliance = {
    enable = true;
    roles = ["node"];
  };
  services.reelmill.agent.enable = true;
  services.reelmill.worker.instances.default = {};
}
