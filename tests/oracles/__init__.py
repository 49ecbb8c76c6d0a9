"""Independent tools that say what the integers must be, and how far `hwsim.reference` agrees with each of them."""
