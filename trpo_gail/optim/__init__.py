"""Steps in parameter space: parameters as one vector, Adam, the natural gradient."""
