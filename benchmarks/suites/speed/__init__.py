"""Speed: seconds of a whole search and refit, as a multiple of one plain Keras fit."""
