"""Choice of designs: grids over axes, and Pareto fronts."""
