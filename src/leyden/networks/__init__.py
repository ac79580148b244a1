"""Networks: plain modules with an input layer, hidden layers and an output layer."""
