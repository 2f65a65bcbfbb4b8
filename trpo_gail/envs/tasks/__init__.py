"""Tasks of our own and the paper's."""
