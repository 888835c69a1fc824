"""What runs leave behind: folders, tables, provenance. Nothing here imports torch."""
