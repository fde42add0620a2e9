{imports = [./worker-options.nix];}
