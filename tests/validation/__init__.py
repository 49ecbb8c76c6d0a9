"""hwsim held against the numbers of others: what is exact, what is near, what is not reproduced and why."""
