# docs/operate/options.md: what our modules can be told, from their declarations.
{
  self,
  lib,
  nixpkgs,
}: let
  # A machine is made of one kind of hardware, and has the options of that one.
  kinds = removeAttrs self.nixosModules ["default"];
  declared = hardware: let
    inherit
      (nixpkgs.lib.nixosSystem {
        modules = [self.nixosModules.default hardware {nixpkgs.hostPlatform = "aarch64-linux";}];
      })
      options
      ;
  in
    lib.optionAttrSetToDocList {
      services.reelmill = options.services.reelmill or {};
      reelmill = options.reelmill or {};
    };
  ours = lib.filter (option: option.visible && !option.internal) (lib.concatMap declared (lib.attrValues kinds));
  # By name, each once.
  options = lib.attrValues (lib.listToAttrs (map (option: lib.nameValuePair option.name option) ours));

  # A value as somebody would write it: in one line where it is short.
  shown = value: let
    text = lib.trim (value.text or (lib.generators.toPretty {} value));
    line = lib.concatMapStringsSep " " lib.trim (lib.splitString "\n" text);
  in
    if value._type or "" == "literalMD"
    then " ${plain text}"
    else if !(lib.hasInfix "\n" text)
    then " `${text}`"
    else if lib.stringLength line <= 80 && !(lib.hasInfix "''''" text)
    then " `${line}`"
    else "\n\n  ```nix\n  ${lib.replaceStrings ["\n"] ["\n  "] text}\n  ```";
  # Roles that NixOS' own manual knows.
  plain = builtins.replaceStrings ["{option}`" "{file}`" "{command}`" "{env}`"] ["`" "`" "`" "`"];

  line = name: value: "- ${name}:${shown value}\n";
  about = option:
    ''
      ### `${option.name}`

      ${lib.trim (plain (option.description.text or option.description))}

    ''
    + line "type" {text = option.type;}
    + lib.optionalString (option ? default) (line "default" option.default)
    + lib.optionalString (option ? example) (line "example" option.example);

  # The options of one thing stand together.
  group = option:
    lib.concatStringsSep "." (lib.take (
        if lib.hasPrefix "services.reelmill.hub." option.name && builtins.length option.loc > 4
        then 4
        else if lib.hasPrefix "services." option.name
        then 3
        else 2
      )
      option.loc);
  groups = lib.groupBy group options;
  chapter = name: all: "## `${name}`\n\n${lib.concatMapStringsSep "\n" about all}";
in
  ''
    # Options of the NixOS modules

    Made from the modules' own declarations (`GOLDEN=write cargo xtask test nix`); do not edit. `<name>` stands for a name that
    you choose.

  ''
  + lib.concatStringsSep "\n" (lib.mapAttrsToList chapter groups)
