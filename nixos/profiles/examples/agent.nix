{
  services.reelmill.agent = {
    enable = true;
    settings = {
      tags = ["rack"];
      window = "Sat..Sun 02:00-05:00 local";
      page.listen = ["127.0.0.1:9310" "192.168.1.77:9310"];
    };
    pagePasswordFile = "/var/lib/secrets/page-password";
  };
}
