"""The membership audit: attacks on observations, blind baseline, and audits of given logits."""
