# A test's hub, which the others reach by its name.
{pkgs, ...}: {
  services.reelmill.hub = {
    enable = true;
    names = ["hub"];
    listenAddress = "0.0.0.0";
    openFirewall = true;
    # As the hub's appliance has them: what is embedded is for a farm of one machine.
    store.kind = "garage";
    queue.kind = "redis";
    broker.kind = "mosquitto";
    broker.openFirewall = true;
  };
  # The operator works on it too.
  environment.systemPackages = [pkgs.reelmill pkgs.ffmpeg-headless pkgs.curl pkgs.jq];
  virtualisation = {
    cores = 2;
    memorySize = 2048;
    diskSize = 4096;
  };
}
