"""What is wrong with demonstrations, and whether they fit an environment."""
