# A node that is drained finishes what it has, takes nothing more, and takes work again when it is told so.
{
  name = "worker-drain";
  nodes = {
    hub = ./lib/machine-hub.nix;
    node = ./lib/machine-node.nix;
  };
  testScript =
    builtins.readFile ./lib/farm.py
    + ''
      start_hub()
      appoint()
      node.start()
      equip(node)
      enrol(node, "node")
      clip("first.mp4", 60)
      clip("second.mp4", 5)
      first = submit("first.mp4")
      await_state(first, "running")

      send("node drain deadline_s=600 --reason 'a new disk'")

      with subtest("what was begun was finished, and is not begun again"):
          await_state(first, "done")
          job = json.loads(hub.succeed(f"curl -sf http://127.0.0.1:7700/v1/jobs/{first}"))
          assert job["attempt"] == 1, job

      with subtest("a drained node takes nothing"):
          second = submit("second.mp4")
          hub.sleep(20)
          assert state(second) == "queued", state(second)

      send("node undrain")
      await_state(second, "done")
    '';
}
