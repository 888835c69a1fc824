"""One HTML file that shows a sweep: it opens from disk, and asks nothing of any network or server.

standing.py   what is known of the sweep       page.py       the HTML of each part, around page.html
columns.py    its table as data for the page   pictures.py   figures as SVG within the page
failures.py   what failed alike                write.py      all of it, into a file
about.py      what made it, and how to make it again
"""
