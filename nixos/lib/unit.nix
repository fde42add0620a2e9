# A unit file of systemd as NixOS' options. The unit files of the programs are written once, beside the programs, and so
# are their hardening and its tests; NixOS only changes what differs there.
{lib}: let
  inherit (lib) concatStringsSep filter foldl' hasPrefix head mapAttrs mapAttrs' mkDefault nameValuePair splitString toList;

  # `[ { section; key; value; } ]` in the file's order; comments and empty lines are left out, lines that end in `\` are one.
  entries = text: let
    lines =
      filter (line: line != "" && !hasPrefix "#" line && !hasPrefix ";" line)
      (map lib.trim (splitString "\n" (lib.replaceStrings ["\\\n"] [" "] text)));
    step = state: line:
      if hasPrefix "[" line
      then state // {section = lib.removeSuffix "]" (lib.removePrefix "[" line);}
      else let
        parts = splitString "=" line;
      in
        state
        // {
          found =
            state.found
            ++ [
              {
                inherit (state) section;
                key = head parts;
                value = concatStringsSep "=" (lib.tail parts);
              }
            ];
        };
  in
    (foldl' step {
        section = "";
        found = [];
      }
      lines)
    .found;

  # A key that stands more than once is a list.
  section = name: all: let
    value = es:
      if builtins.length es == 1
      then (head es).value
      else map (e: e.value) es;
  in
    mapAttrs (_: value) (lib.groupBy (e: e.key) (filter (e: e.section == name) all));

  words = value: filter (w: w != "") (lib.concatMap (splitString " ") (toList value));

  # What names other units has lists of its own in NixOS, to which modules add; a value in unitConfig would be lost then.
  relations = {
    After = "after";
    Before = "before";
    BindsTo = "bindsTo";
    Conflicts = "conflicts";
    Documentation = "documentation";
    PartOf = "partOf";
    Requires = "requires";
    Requisite = "requisite";
    Upholds = "upholds";
    Wants = "wants";
  };
  # Of these NixOS writes lines of its own, into the section where it looks for them when it switches.
  switching = {
    X-RestartIfChanged = "restartIfChanged";
    X-StopIfChanged = "stopIfChanged";
  };
  named = names: unit: mapAttrs' (key: nameValuePair names.${key}) (lib.intersectAttrs names unit);
  bool = value: lib.elem value ["yes" "true" "1" "on"];

  # `NAME=value`, one on each line.
  variables = lines:
    lib.listToAttrs (map (line: let
      parts = splitString "=" line;
    in
      nameValuePair (head parts) (mkDefault (concatStringsSep "=" (lib.tail parts))))
    lines);
in
  # `kind` is the section of the unit's own: `Service`, `Socket`, `Path` or `Slice`.
  kind: file: let
    all = entries (builtins.readFile file);
    unit = section "Unit" all;
    own = section kind all;
    elsewhere = ["Description"] ++ lib.attrNames relations ++ lib.attrNames switching;
  in
    {
      description = mkDefault (unit.Description or "");
      unitConfig = mapAttrs (_: mkDefault) (removeAttrs unit elsewhere);
      wantedBy = words (section "Install" all).WantedBy or "";
      "${lib.toLower kind}Config" = mapAttrs (_: mkDefault) (removeAttrs own ["Environment"]);
    }
    // mapAttrs (_: words) (named relations unit)
    // mapAttrs (_: value: mkDefault (bool value)) (named switching unit)
    // lib.optionalAttrs (own ? Environment) {environment = variables (toList own.Environment);}
