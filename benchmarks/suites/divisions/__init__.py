"""Small tables, divided many times."""
