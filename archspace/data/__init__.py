"""Tasks: what networks are trained on."""
