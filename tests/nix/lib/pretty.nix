# JSON that people can read in a review.
{lib}: let
  pretty = indent: value: let
    deeper = indent + "  ";
    block = open: items: close:
      if items == []
      then open + close
      else "${open}\n${deeper}${lib.concatStringsSep ",\n${deeper}" items}\n${indent}${close}";
  in
    if lib.isAttrs value && !(value ? outPath)
    then block "{" (lib.mapAttrsToList (name: v: "${builtins.toJSON name}: ${pretty deeper v}") value) "}"
    else if lib.isList value
    then block "[" (map (pretty deeper) value) "]"
    else builtins.toJSON value;
in
  value: pretty "" value + "\n"
