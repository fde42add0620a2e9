{imports = [./agent-options.nix];}
