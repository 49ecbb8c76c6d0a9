"""Numbers, not code: accelerators and technology tables, each number with its source."""
