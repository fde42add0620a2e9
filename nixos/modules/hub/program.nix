{imports = [./program-options.nix];}
