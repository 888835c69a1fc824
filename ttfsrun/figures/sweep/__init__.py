"""The figures of a sweep: what each is made of and one file per kind, all pure functions of plain tables.

`ttfsrun.report.selection` chooses among them.
"""
