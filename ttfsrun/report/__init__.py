"""A sweep's figures, and its page: one HTML file that opens from disk and loads nothing from any network.

plot.py           the verb `plot`: a sweep's folder or table to figures in files
selection.py      which figures a sweep gets
plot_data.py      the table of a sweep as its figures share it
plot_data.py      the data that these figures share
write.py          the verb `report`: the page in a file
snapshot.py       the states of the points, the table, and warnings, when the page is written
columns.py        the table as compact JSON
failures.py       failures in groups
charts.py         the figures of a sweep as SVG
svg.py            one figure as SVG: own ids, the page's colours, numbered markers
descriptions.py   descriptions of settings, from the schema
provenance.py     provenance, and the commands to reproduce the sweep
page.py           the parts of the page as HTML
page.html         the frame that page.py fills
report.css        its style
filter.js         the language of the filter
table.js          the table of points: sorting, cells, CSV
controls.js       the state in the address, menus, the dialog of a point
figures.js        texts of markers, by pointer and arrow keys
page.js           starts the scripts
"""
