{
  reelmill.hardware.nvidia.containers = true;
  services.reelmill.worker = {
    queueUrlFile = "/var/lib/secrets/queue-url";
    accessKeyFile = "/var/lib/secrets/access-key";
    secretKeyFile = "/var/lib/secrets/secret-key";
    settings.store.endpoint = "http://hub.example.net:3900";

    instances.default = {
      hwaccel = "cuda";
      container = {
        enable = true;
        image = "hub.example.net:5000/reelmill/worker-nvenc:0.1.0";
        credentialsFile = "/var/lib/secrets/registry.json";
      };
    };
  };
}
