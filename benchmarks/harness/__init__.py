"""The parts that all suites share: the runner, tables, networks, and the writing of pages."""
