"""Joint: searches of several hyperparameters at once, what they bring and what they cost."""
