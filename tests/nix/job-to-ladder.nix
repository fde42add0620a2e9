# A source in the hub's store becomes a ladder in its store, made by a worker on another machine.
{
  name = "job-to-ladder";
  nodes = {
    hub = ./lib/machine-hub.nix;
    node = ./lib/machine-node.nix;
  };
  testScript =
    builtins.readFile ./lib/farm.py
    + ''
      start_hub()
      node.start()
      equip(node)
      clip("source.mp4", 12)
      hub.succeed("reelmill submit /tmp/source.mp4 --hub http://127.0.0.1:7700", timeout=900)
      [job] = json.loads(hub.succeed("curl -sf 'http://127.0.0.1:7700/v1/jobs?limit=1'"))["jobs"]
      assert job["state"] == "done", job
      master = f"http://127.0.0.1:7700/v1/jobs/{job['id']}/output/master.m3u8"

      with subtest("the ladder has several renditions, and each plays to its end"):
          playlist = hub.succeed(f"curl -sf {master}")
          assert playlist.count("#EXT-X-STREAM-INF") >= 2, playlist
          seconds = hub.succeed(f"ffprobe -v error -show_entries format=duration -of csv=p=0 {master}")
          assert abs(float(seconds) - 12) < 0.5, seconds
          hub.succeed(f"ffmpeg -v error -xerror -i {master} -map 0 -f null -")

      with subtest("the worker ran as nobody that could do more"):
          properties = node.succeed("systemctl show reelmill-worker -p User,NoNewPrivileges,ProtectSystem")
          assert "User=reelmill-worker" in properties and "ProtectSystem=strict" in properties, properties
    '';
}
