"""Rivals: the classifiers that a user could install instead, each at its defaults."""
