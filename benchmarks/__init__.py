"""Measurements of sk_metalr against other ways of choosing a learning rate.

``run.py`` is the one entry point. ``harness`` runs cells and writes pages, ``suites`` hold one
folder for each thing that is measured, and ``results`` what was measured last.
"""
