"""The compiled code of the neuron: what is computed for each input of each sample. Only `ttfsrun.neuron` calls it.

lanes.py, llvm.py        how many neurons a vector holds, and what it is for LLVM
simd.py, elementary.py   short vectors of neurons, and elementary functions of them
events.py                the arrays that kernels work on, and the step of a membrane from one input to the next
charge.py                a block of neurons from one input to the next
walk.py                  first spikes, with peaks.py and crossing.py
observe.py               the state at observed spikes
arrivals.py, networks.py  each neuron's order of arrival, where synapses have delays
walk_arrivals.py         first spikes and the state at observed ones in that order
gradient*.py             derivatives of spikes by times, weights and time constants
integers.py, philox.py   random numbers by counter, which need vectors of integers
quantile.py              normal numbers from uniform ones
packing.py               weights and times in the order in which they are needed
compiled.py              compilation, and the cache of compiled code
cuda/                    the same kernels on GPUs
"""
