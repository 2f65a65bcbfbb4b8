"""From environments to rows."""
