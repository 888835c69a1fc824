"""Trained networks in files that other simulators read and write: docs/exchange.md has the algebra.

network.py      the network as files hold it, apart from their conventions
convention.py   the unit of time of a file, and what a spike is in it
nir_export.py   a network as a graph of NIR, the Neuromorphic Intermediate Representation
nir_import.py   a network from such a graph
arrays.py       the same numbers as npz or csv
simulation.py   the spikes of a network, by our solver
nest_process.py the same by NEST, an independent simulator, with nest_program.py
"""
