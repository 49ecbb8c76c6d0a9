"""Parts that several attacks share; nothing here is registered."""
