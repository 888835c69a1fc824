"""The verbs `sweep` and `retry`: points are frozen, their cost is estimated, tasks are planned and started."""
