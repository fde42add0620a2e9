# Whether an address, with a port or without, is of this machine alone.
{lib}: at: lib.any (start: lib.hasPrefix start at) ["127." "[::1]" "localhost"] || at == "::1"
