"""What computes the points of a task: a leader without torch, and its workers."""
