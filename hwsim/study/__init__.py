"""Study: a base design with axes becomes points, and points become a table that survives any interruption."""
