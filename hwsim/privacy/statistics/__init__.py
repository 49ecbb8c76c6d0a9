"""Statistics of membership scores: ROC curves, intervals, bootstrap."""
