# A unit file of systemd as NixOS' options. The unit files of the programs are written once, beside the programs, and so
# are their hardening and its tests; NixOS only changes what differs there.
{lib}: let
  inherit (lib) concatStringsSep filter foldl' hasPrefix head last mkDefault splitString;

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
    keys = lib.groupBy (e: e.key) (filter (e: e.section == name) all);
    value = es:
      if builtins.length es == 1
      then (last es).value
      else map (e: e.value) es;
  in
    lib.mapAttrs (_: es: value es) keys;

  words = value: filter (w: w != "") (splitString " " value);
in
  # `kind` is the section of the unit's own: `Service`, `Socket` or `Path`.
  kind: file: let
    all = entries (builtins.readFile file);
    unit = section "Unit" all;
    own = section kind all;
    install = section "Install" all;
  in {
    description = unit.Description or "";
    unitConfig = lib.mapAttrs (_: mkDefault) (removeAttrs unit ["Description"]);
    wantedBy = words (install.WantedBy or "");
    "${lib.toLower kind}Config" = lib.mapAttrs (_: mkDefault) own;
  }
