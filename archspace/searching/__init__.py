"""Search: Optuna proposes genomes, Ray Tune schedules their trials, rungs stop the weak ones, the ledger remembers."""
