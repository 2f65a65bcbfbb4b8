"""Adversaries: they compute the learner's reward."""
