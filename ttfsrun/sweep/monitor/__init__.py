"""What becomes of a sweep: its state, its logs, its end."""
