"""What runs the models. Only the backend that is chosen is ever imported."""
