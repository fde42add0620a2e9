# A rented machine: its user data is its join file, it works until there is nothing left to do, and goes.
{lib, ...}: {
  imports = [./node.nix];
  reelmill.appliance = {
    userData.enable = true;
    leaveWhenDone = lib.mkDefault true;
    # Nobody comes with one.
    firstBoot.stick = false;
  };
}
