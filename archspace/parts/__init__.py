"""Small torch modules that block families share, each with its closed-form cost."""
