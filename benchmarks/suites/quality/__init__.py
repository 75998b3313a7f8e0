"""Quality: test scores on tables, after each way of choosing a learning rate."""
