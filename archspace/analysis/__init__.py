"""Analysis of records: fronts, winners, hypervolume."""
