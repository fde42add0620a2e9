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
    # How many times faster than life.
    quicker ? 1,
  }: let
    quick = n:
      if quicker == 1
      then n
      else n / quicker;
    window = rule: lib.max 2 (quick rule.window);
    expression = rule: lib.replaceStrings ["@window@" "@age@"] [(seconds (window rule)) (toString (quick rule.age))] rule.expr;
    # In words, times are numbers of seconds.
    words = rule: lib.replaceStrings ["@window@" "@age@" "@since@"] (map toString [(window rule) (quick rule.age) (quick (rule.age + rule.for))]);
    rule = name: alert: {
      alert = name;
      expr = expression alert;
      for = seconds (quick alert.for);
      labels = {inherit (alert) severity;};
      annotations = {
        inherit (alert) summary;
        description = words alert alert.description;
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
