"""Records: a run's folder, and what it holds as tables."""
