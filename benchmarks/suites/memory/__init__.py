"""Memory: resident memory over many fits in one process."""
