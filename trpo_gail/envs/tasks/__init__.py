"""Our own task and the paper's."""
