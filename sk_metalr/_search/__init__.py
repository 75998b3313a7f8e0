"""The search: which candidates are trained, for how long, and which is chosen."""
