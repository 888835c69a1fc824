"""Old module names that queued array tasks still import."""
