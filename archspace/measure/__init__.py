"""Measurements of built networks: counters that know nothing of the closed form, latency, memory."""
