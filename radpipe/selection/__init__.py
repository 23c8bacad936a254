"""6. Features of the training part -> which of them go into the network, and why not the others.

Everything here is learnt on the rows it is given: the caller gives the training part of one outer fold, never more.
"""
