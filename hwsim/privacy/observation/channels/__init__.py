"""Channels of the registry family `channel`: outputs, side channels, and answers to several queries."""
