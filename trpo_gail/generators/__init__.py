"""Generators: they improve the policy."""
