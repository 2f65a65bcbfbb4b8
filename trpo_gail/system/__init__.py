"""The package's interface to the machine: files, terminals, signals, launchers."""
