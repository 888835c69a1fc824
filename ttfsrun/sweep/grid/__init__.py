"""Points of a command line and of a file in `conf/sweep`."""
