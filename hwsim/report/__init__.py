"""Report: the figures, the tables and the one page that a study ends in."""
