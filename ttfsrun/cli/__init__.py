"""The command line: `main.py` reads it, the verbs are in a file per group.

run.py       train, evaluate, chip, config
sweep.py     sweep, retry, status, logs, cancel
results.py   gather, report, plot
exchange.py  export, import

A verb imports what it needs when it is called, so that `--help` and mistakes answer at once.
"""
