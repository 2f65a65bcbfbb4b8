"""Networks, and the running statistics of their inputs."""
