"""The Verilog twin of the weight-stationary array, run against the simulator."""
