"""Which points a command line and a file of conf/sweep ask for."""
