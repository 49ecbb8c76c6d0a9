"""Self-contained HTML pages of studies and audits."""
