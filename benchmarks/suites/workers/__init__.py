"""Workers: the same search by two Dask workers and in one process."""
