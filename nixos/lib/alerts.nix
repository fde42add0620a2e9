# Alert rules as data, made into a rule file of Prometheus. The times of a rule stand apart from its expression, so that a
# test can run the same rules in quick motion.
{lib}: let
  seconds = n: "${toString n}s";
in
  {
    # Rules by name: `expr` and `description` with `@window@` and `@age@` in them; `for`, `window` and `age` in seconds.
    alerts,
    # Where the pages of the alerts are; one is at `${runbooks}/NAME.md`.
    runbooks,
    # How many times faster than life, by the alert's name.
    quicker ? _: 1,
  }: let
    rule = name: alert: let
      quick = n: n / quicker name;
      window = lib.max 2 (quick alert.window);
      age = quick alert.age;
      lasts = quick alert.for;
    in {
      alert = name;
      expr = lib.replaceStrings ["@window@" "@age@"] [(seconds window) (toString age)] alert.expr;
      for = seconds lasts;
      labels = {inherit (alert) severity;};
      annotations = {
        inherit (alert) summary;
        # In words, times are numbers of seconds.
        description = lib.replaceStrings ["@window@" "@age@" "@since@"] (map toString [window age (age + lasts)]) alert.description;
        runbook_url = "${runbooks}/${name}.md";
      };
    };
    enabled = lib.filterAttrs (_: alert: alert.enable) alerts;
  in {
    groups = [
      {
        name = "reelmill";
        rules = lib.mapAttrsToList rule enabled;
      }
    ];
  }
