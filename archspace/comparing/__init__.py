"""Design spaces against each other: what is compared, its training, its result."""
