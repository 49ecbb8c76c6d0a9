"""Speed table of hwsim against peers and goals: `make bench`, or `python -m tests.bench [GROUP ...]`."""
