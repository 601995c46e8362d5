"""Block families, one file each: genes, torch classes, their closed-form cost, layout and registration."""
