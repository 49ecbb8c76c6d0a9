"""Reference attacks: a sample against its reference (shadow) models."""
