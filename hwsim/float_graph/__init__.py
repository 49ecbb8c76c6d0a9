"""Float graph shared by training, quantizers and readers: layers with real weights, many models at once."""
