"""Distributions over actions, the policy that learns, and its copy that samples."""
