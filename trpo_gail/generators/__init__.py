"""Who improves the policy."""
