"""Networks, their statistics and their optimiser."""
