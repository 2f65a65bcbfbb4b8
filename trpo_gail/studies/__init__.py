"""Many runs side by side: the runner, comparisons, the paper's experiments, the benchmark."""
