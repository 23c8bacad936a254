"""The small neural network on features: loss index, training, and the fitted ensemble."""
