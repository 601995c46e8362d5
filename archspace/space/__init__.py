"""Design spaces: what may vary, within which budget, and how to draw from it."""
