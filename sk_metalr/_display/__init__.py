"""What people look at: plots, a summary, a report."""
