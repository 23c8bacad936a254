"""2. Image and mask -> the same, on the spacing and scale the networks see. Features are extracted from the originals."""
