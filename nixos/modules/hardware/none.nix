# A machine without an encoder of its own: the worker encodes by software.
{
  config,
  lib,
  ...
}: {
  options.reelmill.hardware.kind = lib.mkOption {
    type = lib.types.enum ["cpu"];
    default = "cpu";
    readOnly = true;
    description = "What the machine is made of, by the module that it was given.";
  };

  config = lib.mkIf config.reelmill.appliance.enable {
    hardware.enableRedistributableFirmware = lib.mkDefault true;
  };
}
