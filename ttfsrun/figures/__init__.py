"""Figures: one file per kind, pure functions from arrays and tables to a matplotlib Figure.

Each file has a function that plots and, where the numbers are not already a table, `table`, which returns them in
tidy form. `style.save` writes a figure and its numbers side by side.
"""
