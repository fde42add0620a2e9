# A system that is unwell is undone by itself, and one that is well stays.
{
  name = "switch-rolls-back";
  nodes = {
    hub = ./lib/machine-hub.nix;
    node = {
      lib,
      pkgs,
      ...
    }: {
      imports = [./lib/machine-node.nix];
      # A worker that never comes up, and a system that differs in nothing that matters.
      specialisation.unwell.configuration.systemd.services.reelmill-worker.serviceConfig.ExecStart =
        lib.mkForce (lib.getExe' pkgs.coreutils "false");
      specialisation.well.configuration.environment.etc."reelmill-release".text = "well\n";
      # The test is who signs.
      nix.extraOptions = "!include /etc/nix/farm.conf";
      virtualisation = {
        useBootLoader = true;
        useEFIBoot = true;
        writableStore = true;
        memorySize = lib.mkForce 3072;
      };
      boot.loader.systemd-boot.enable = true;
      boot.loader.timeout = 0;
    };
  };
  testScript =
    builtins.readFile ./lib/farm.py
    + ''
      start_hub()
      appoint()
      node.start(allow_reboot=True)
      equip(node)
      enrol(node, "node")
      node.succeed("nix-store --generate-binary-cache-key farm-1 /root/farm.key /root/farm.pub")
      node.succeed("echo extra-trusted-public-keys = $(cat /root/farm.pub) > /etc/nix/farm.conf")
      old = node.succeed("readlink -f /run/current-system").strip()


      def release(name):
          path = node.succeed(f"readlink -f /run/current-system/specialisation/{name}").strip()
          nix = "nix --extra-experimental-features nix-command"
          node.succeed(f"{nix} store sign --recursive --key-file /root/farm.key {path}")
          return path, node.succeed(f"{nix} hash path {path}").strip()


      unwell, unwell_hash = release("unwell")
      well, well_hash = release("well")

      with subtest("a system whose worker does not come up is undone"):
          verify = """'verify={"timeout_s":60}'"""
          said = send(f"node switch store_path={unwell} nar_hash={unwell_hash} release_ctr=2 {verify}", code=7)
          assert "unwell" in said, said
          assert node.succeed("readlink -f /run/current-system").strip() == old
          node.wait_for_unit("reelmill-worker.service")

      with subtest("it is not tried again"):
          send(f"node switch store_path={unwell} nar_hash={unwell_hash} release_ctr=2", code=1)

      with subtest("a system that is well stays, also over a boot"):
          send(f"node switch store_path={well} nar_hash={well_hash} release_ctr=3")
          assert node.succeed("cat /etc/reelmill-release") == "well\n"
          assert node.succeed("readlink -f /nix/var/nix/profiles/system").strip() == well
    '';
}
