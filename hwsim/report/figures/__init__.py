"""Figures of studies, hardware and privacy."""

from hwsim.cache_folder import prepare_matplotlib

prepare_matplotlib()  # before the first import of matplotlib, in the modules of this folder
