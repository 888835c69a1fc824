"""Pictures: one file per figure, pure functions from arrays and tables to a matplotlib Figure.

Each file has a function that draws and, where the numbers are not already a table, `table`, which
returns them in tidy form. `style.save` writes picture and numbers side by side.
"""
