"""What leaves a run for use elsewhere: its learned reward and its policy, each in one file."""
