"""Float graph that training, quantizers and readers share."""
