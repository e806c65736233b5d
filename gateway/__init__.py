"""The edge: HTTP in, the process, the command line."""
