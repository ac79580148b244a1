"""Networks: tensors in, tensors out, each from an input layer over hidden layers to an output."""
