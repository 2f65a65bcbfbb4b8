"""Steps in parameter space: one flat vector, Adam, the natural gradient."""
