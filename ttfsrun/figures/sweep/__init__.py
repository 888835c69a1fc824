"""Figures of a sweep: their common parts and one file per kind, all pure functions of plain tables.

`ttfsrun.report.selection` chooses among them.
"""
