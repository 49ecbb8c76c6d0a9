"""The speed table: hwsim against its peers and its goals. `make bench`, or `python -m tests.bench [GROUP ...]`."""
