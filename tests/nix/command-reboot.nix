# A node that is told to boot does so, and the command's end is known although nobody who began it is left.
{
  name = "command-reboot";
  nodes = {
    hub = ./lib/machine-hub.nix;
    node = ./lib/machine-node.nix;
  };
  testScript =
    builtins.readFile ./lib/farm.py
    + ''
      start_hub()
      appoint()
      node.start(allow_reboot=True)
      equip(node)
      enrol(node, "node")
      before = node.succeed("cat /proc/sys/kernel/random/boot_id")

      send("node reboot --reason 'to see that it comes back'")

      # The machine that we spoke to is gone.
      node.connected = False
      node.wait_for_unit("reelmill-agent.service")
      assert node.succeed("cat /proc/sys/kernel/random/boot_id") != before, "the node did not boot"

      with subtest("the node works again"):
          node.wait_for_unit("reelmill-worker.service")
          hub.wait_until_succeeds("curl -sf http://127.0.0.1:7700/v1/nodes/node | jq -e '.state == \"up\"'")

      with subtest("who may not command a node is refused"):
          hub.succeed("reelmill keys new /root/eve.key")
          before = node.succeed("cat /proc/sys/kernel/random/boot_id")
          send("node reboot --sign /root/eve.key", code=3)
          assert node.succeed("cat /proc/sys/kernel/random/boot_id") == before
    '';
}
