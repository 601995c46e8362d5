"""Studies: pre-registered comparisons of ways to change networks."""
