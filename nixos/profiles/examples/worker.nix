{
  services.reelmill.worker = {
    queueUrlFile = "/var/lib/secrets/queue-url";
    accessKeyFile = "/var/lib/secrets/access-key";
    secretKeyFile = "/var/lib/secrets/secret-key";
    settings.store.endpoint = "http://hub.example.net:3900";

    node.concurrency = 4;
    node.memoryMax = "90%";
    instances.default = {
      presets = ["hls-ladder" "hls-ladder-hevc"];
      hwaccel = "cuda";
      gpu = "0";
      nvencSessions = 8;
    };
    instances.archive = {
      presets = ["archive-prores" "archive-dnxhr"];
      hwaccel = "none";
      concurrency = 1;
      cpuQuota = "400%";
    };
    instances.night = {
      presets = ["proxy"];
      batch = true;
      startAt = ["Mon..Fri 22:00"];
    };
  };
}
