"""The paper's experiments: the grid as data, a runner of its cells, and what their results say beside the paper's."""
