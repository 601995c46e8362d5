"""Reports: figures of a run, and one HTML file that holds them all."""
