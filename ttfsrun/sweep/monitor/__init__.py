"""Monitoring of a sweep: its status, its logs, and cancelling it."""
