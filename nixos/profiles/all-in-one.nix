# A hub that works too: a farm of one machine.
{
  imports = [./hub.nix ./node.nix];
}
