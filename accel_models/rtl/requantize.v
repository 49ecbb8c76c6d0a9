// Codes of one accumulator: (acc * multiplier + half) >> shift, plus the zero point, clipped.
// Rounds to the nearest, ties up. No product, sum or code overflows: |acc * multiplier| < 2^62.
`include "mutants.v"

module requantize (
    input  wire signed [31:0] accumulator,
    input  wire        [30:0] multiplier,
    input  wire         [5:0] shift,       // 0 to 62
    input  wire signed [31:0] zero_point,
    input  wire signed [31:0] low,
    input  wire signed [31:0] high,
    input  wire         [3:0] mutant,
    output wire signed [31:0] code
);
    wire signed [63:0] acc = accumulator;  // sign-extended
    wire signed [63:0] factor = {33'd0, multiplier};
    wire signed [63:0] product = acc * factor;

    wire signed [63:0] half = shift == 6'd0 ? 64'sd0 : 64'sd1 <<< (shift - 6'd1);
    wire away = (mutant == `MUTANT_TIES) & (product < 0) & (shift != 6'd0);
    wire signed [63:0] rounded = (product + half - (away ? 64'sd1 : 64'sd0)) >>> shift;

    wire signed [63:0] lowest = low, highest = high, zero = zero_point;
    wire signed [63:0] shifted = rounded + zero;
    wire signed [63:0] clipped = shifted < lowest ? lowest : shifted > highest ? highest : shifted;
    assign code = clipped[31:0];
endmodule
