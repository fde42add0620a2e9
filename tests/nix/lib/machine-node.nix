# A test's node. The farm's settings come as a person would bring them, in files on the node.
{
  services.reelmill = {
    agent = {
      enable = true;
      # The machine has its host's clock, and no time server.
      settings.broker.clock_is_right = true;
    };
    worker.instances.default = {
      presets = ["hls-ladder"];
      hwaccel = "none";
    };
  };
  virtualisation = {
    cores = 2;
    memorySize = 2048;
    diskSize = 4096;
  };
}
