"""Strategies: what wider strategy spaces and other searches bring, and what they cost."""
