# The secrets of queue and store: files of root's, which systemd gives to one unit, and references to them in that unit's
# settings.
{lib}: let
  inherit (lib) attrByPath concatStringsSep filterAttrs mapAttrsToList mkDefault setAttrByPath;

  # The option with the file, the name as a credential, and the setting that refers to it.
  kinds = {
    queueUrlFile = {
      credential = "queue-url";
      setting = ["queue" "url"];
    };
    accessKeyFile = {
      credential = "access-key";
      setting = ["store" "access_key"];
    };
    secretKeyFile = {
      credential = "secret-key";
      setting = ["store" "secret_key"];
    };
  };
in {
  inherit kinds;

  # For a unit and its options: what goes into the settings, and into `LoadCredential=`.
  __functor = _: unit: options: let
    set = filterAttrs (option: _: options.${option} != null) kinds;
    reference = kind: "file:/run/credentials/${unit}/${kind.credential}";
  in {
    # As definitions of options, which others win over, and as plain values.
    settings = lib.mkMerge (mapAttrsToList (_: kind: setAttrByPath kind.setting (mkDefault (reference kind))) set);
    values = lib.foldl' lib.recursiveUpdate {} (mapAttrsToList (_: kind: setAttrByPath kind.setting (reference kind)) set);
    load = mapAttrsToList (option: kind: "${kind.credential}:${options.${option}}") set;
  };

  # Assertions that settings refer to secrets and hold none. An address without a password is no secret.
  noneInStore = where: settings: let
    isReference = value: lib.hasPrefix "file:" value || lib.hasPrefix "env:" value;
    assertion = option: kind: let
      value = attrByPath kind.setting null settings;
      isHarmless = option == "queueUrlFile" && value != null && !lib.hasInfix "@" value;
    in {
      assertion = value == null || isReference value || isHarmless;
      message = "${where}.${concatStringsSep "." kind.setting} would be readable by everybody in the Nix store; use ${option} beside it";
    };
    token = settings.store.session_token or null;
  in
    mapAttrsToList assertion kinds
    ++ [
      {
        assertion = token == null || isReference token;
        message = "${where}.store.session_token would be readable by everybody in the Nix store; use a reference such as file:/path";
      }
    ];
}
