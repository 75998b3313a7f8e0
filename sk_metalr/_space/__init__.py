"""Strategies: what is searched, and the candidates drawn from it."""
