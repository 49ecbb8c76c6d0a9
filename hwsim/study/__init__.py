"""Studies: a base design with axes becomes points, and the points become a table that survives interruptions."""
