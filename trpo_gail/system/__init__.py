"""What the package needs of the machine: files, terminals, signals, launchers."""
