"""The end-to-end 3D CNN on the cropped image: augmentation, training, and the fitted ensemble."""
