"""Start: from the import to a fitted model, in a new process."""
