"""Entry point of `python -m hwsim`, equal to the command `hwsim`."""

from hwsim.cli import main

if __name__ == "__main__":
    main()
