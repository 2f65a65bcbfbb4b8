"""How fast this machine trains: what `trpo-gail bench` measures."""
