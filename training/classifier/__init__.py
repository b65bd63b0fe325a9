"""Image classifiers: a convolutional network over images of one size."""
