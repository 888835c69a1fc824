"""The compiled code of the neuron: what is computed for each input of each sample. Only `ttfsrun.neuron` calls it.

lanes.py                 how many neurons a vector holds
simd.py, elementary.py   short vectors of neurons, and elementary functions of them
events.py                the arrays that kernels work on, and the step of a membrane from one input to the next
walk.py, observe.py      first spikes, and the state at observed ones
gradient.py              their derivatives, summed over a batch
integers.py, philox.py   random numbers by counter, which need vectors of integers
quantile.py              normal numbers from uniform ones
packing.py               weights and times in the order in which they are needed
compiled.py              compilation, and the cache of compiled code
cuda/                    the same kernels on GPUs
"""
