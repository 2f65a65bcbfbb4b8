"""Scripts by which a shell completes the command line, one module per shell, from one table."""
