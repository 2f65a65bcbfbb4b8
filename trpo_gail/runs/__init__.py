"""A run on disk: its folder, checkpoints and metrics; training, cloning, evaluation and recording."""
