# What the modules produce, as texts by path: the golden files. Every file here is a function of the evaluated systems and
# gives texts for paths below a folder of its own name.
{
  self,
  lib,
}: let
  systems = lib.mapAttrs (_: s: s.config) self.nixosConfigurations;
  names = lib.filter (name: name != "default.nix") (lib.attrNames (builtins.readDir ./.));
  rendered = name: let
    folder = lib.removeSuffix ".nix" name;
    texts = import (./. + "/${name}") {inherit self lib systems unit;};
  in
    lib.mapAttrs' (path: lib.nameValuePair "${folder}/${path}") texts;
  # A unit's text, by the name of a system and of the unit.
  unit = config: name: config.systemd.units.${name}.text;
in
  lib.foldl' (all: name: all // rendered name) {} names
