"""Portfolio: learning rates proposed by other tables' searches, against a random search."""
