# Types of options that several modules have.
{lib}: let
  inherit (lib) mkOption types;
in rec {
  # A file with a secret: everybody may read the store, so it is never there.
  secretFile = types.pathWith {
    absolute = true;
    inStore = false;
  };

  # An option for one, which is handed over as a credential of systemd.
  mkSecretFile = what:
    mkOption {
      type = types.nullOr secretFile;
      default = null;
      example = "/var/lib/secrets/reelmill";
      description = ''
        File with ${what}. Its path is absolute and not in the Nix store, which everybody may read; systemd hands the
        content over as a credential when the unit starts, so only root needs to be able to read it.
      '';
    };

  # The words that programs know as a size or a share, as systemd writes them.
  size = types.strMatching "[0-9]+(\\.[0-9]+)?[KMGT]?|[0-9]+%|infinity";
  percent = types.strMatching "[0-9]+%";
}
