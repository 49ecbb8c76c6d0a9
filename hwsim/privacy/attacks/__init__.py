"""Membership-inference attacks, one file each, in folders by kind."""
