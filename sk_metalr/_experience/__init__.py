"""Finished searches, and what they tell about the next."""
