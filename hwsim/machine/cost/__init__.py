"""Energy, latency and area: event counts times a technology table."""
