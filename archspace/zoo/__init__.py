"""Published networks as genomes, with the figures they must match and where those are printed."""

from archspace.zoo.zoo import ZooEntry, check, entries, entry, names

__all__ = ["ZooEntry", "check", "entries", "entry", "names"]
