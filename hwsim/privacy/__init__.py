"""What an adversary sees of a deployed network, and how well it tells members from non-members."""
