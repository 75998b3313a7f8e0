"""Scaling: seconds of a fit as the search, the table or the network grows."""
