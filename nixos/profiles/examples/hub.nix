{
  services.reelmill.hub = {
    enable = true;
    settings = {
      store.endpoint = "http://127.0.0.1:3900";
      fleet.enrol = "0.0.0.0:7443";
      fleet.names = ["hub.example.net"];
    };
    queueUrlFile = "/var/lib/secrets/queue-url";
    accessKeyFile = "/var/lib/secrets/access-key";
    secretKeyFile = "/var/lib/secrets/secret-key";
  };
  networking.firewall.allowedTCPPorts = [7443];
}
