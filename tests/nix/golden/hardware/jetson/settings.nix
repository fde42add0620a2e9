{
  autoUpdate = false;
  graphics = true;
  groups = [
    "video"
    "render"
  ];
  jetpack = {
    carrierBoard = "devkit";
    configureCuda = false;
    enable = true;
    majorVersion = "6";
    maxClock = false;
    som = "orin-nx";
    super = false;
  };
  nvpmodel = 0;
  socket = "/run/reelmill-tegrastats/socket";
  worker = {
    media = {
      gst_plugins = [
        "/nix/store/00000000000000000000000000000000-reelmill-gst-plugins"
      ];
    };
  };
}