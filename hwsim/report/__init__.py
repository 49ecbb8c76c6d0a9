"""Reports: figures, tables and self-contained pages of studies, audits and hardware."""
