"""Sweeps: grids of points, each a trained and evaluated network.

grid/      points of a command line and of a file in `conf/sweep`
submit/    the verbs `sweep` and `retry`: points are frozen, their cost is estimated, tasks are planned and started
worker/    the tasks and their worker processes, which compute populations of points
monitor/   the verbs `status`, `logs` and `cancel`: the state of each point and of each submission
cost.py    the cost of training a population, measured in worker/ and used in submit/

Only `worker.execute` and the processes that run it (`worker.calibrate`, `worker.process`) import torch. All else is
imported by the command line, where it would cost seconds.
"""
