"""The registry family `channel`: outputs, side channels, and channels of several queries."""
