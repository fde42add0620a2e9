# The instances of the worker that are on, and what holds over all of them.
{lib}: worker: let
  on = lib.filterAttrs (_: instance: instance.enable) worker.instances;
  # The one whose status the agent reads comes first and has the port that all know.
  names = lib.sort (a: b: a == "default" || (b != "default" && a < b)) (lib.attrNames on);

  given = lib.filter (n: on.${n}.concurrency != null) names;
  others = lib.subtractLists given names;
  sum = lib.foldl' (all: n: all + on.${n}.concurrency) 0 given;
  left = worker.node.concurrency - sum;
  # An even share; what does not divide goes to the first ones.
  share = index:
    left
    / lib.length others
    + (
      if index < lib.mod left (lib.length others)
      then 1
      else 0
    );
  shares =
    if worker.node.concurrency == null
    then _: 1
    else share;
  indexed = f: list: lib.listToAttrs (lib.imap0 (i: n: lib.nameValuePair n (f i n)) list);
in rec {
  inherit on names;
  unit = name:
    if name == "default"
    then "reelmill-worker"
    else "reelmill-worker@${name}";
  # One that the node's own unit stops and restarts with itself: so do drains, reboots and restarts by command, which speak of
  # that one only. It is ended first, so who waits for the node's own waits for all.
  follower = name:
    lib.mkIf (name != "default") {
      partOf = ["reelmill-worker.service"];
      after = ["reelmill-worker.service"];
      wantedBy = lib.mkForce (lib.optional (!on.${name}.batch) "reelmill-worker.service");
    };
  # The folder below /var/cache that is its own.
  cache = name: "reelmill-worker${lib.optionalString (name != "default") "-${name}"}";
  # Where each tells what it does.
  port = indexed (i: _: 9320 + i) names;
  # Tasks at once, by name.
  concurrency = lib.mapAttrs (_: i: i.concurrency) (lib.getAttrs given on) // indexed (i: _: shares i) others;
  total = lib.foldl' (all: n: all + concurrency.${n}) 0 names;
  # Whether every instance has something of what the node may do.
  fits = worker.node.concurrency == null || (total <= worker.node.concurrency && lib.all (n: concurrency.${n} > 0) names);
}
