"""Numbers to predict: whole fits of ours, of the same network otherwise chosen, and of rivals."""
