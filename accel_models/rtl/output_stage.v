// Output stage: vectors that leave the array are summed over the k folds and requantized at the last k fold,
// in the cycle in which a vector arrives, so that no cycle is added.
`include "mutants.v"

module output_stage #(
    parameter COLS = 4,
    parameter DEPTH = 64,  // output pixels of the accumulator memory
    parameter ACC = 32
) (
    input  wire                   clk,
    input  wire             [3:0] mutant,
    input  wire                   valid,
    input  wire            [15:0] pixel,
    input  wire                   first_k,
    input  wire [ACC*COLS-1:0]    vector,

    input  wire    [ACC*COLS-1:0] bias,        // one per column, as are multiplier and shift
    input  wire     [32*COLS-1:0] multiplier,
    input  wire     [32*COLS-1:0] shift,
    input  wire signed     [31:0] zero_point,
    input  wire signed     [31:0] low,
    input  wire signed     [31:0] high,

    output wire    [ACC*COLS-1:0] accumulator,
    output wire     [32*COLS-1:0] code
);
    reg [ACC*COLS-1:0] memory [0:DEPTH-1];
    wire [ACC*COLS-1:0] so_far = first_k | (mutant == `MUTANT_FORGET) ? bias : memory[pixel];

    genvar c;
    generate
        for (c = 0; c < COLS; c = c + 1) begin : column
            assign accumulator[ACC * c +: ACC] = so_far[ACC * c +: ACC] + vector[ACC * c +: ACC];
            requantize requantize (
                .accumulator(accumulator[ACC * c +: ACC]),
                .multiplier(multiplier[32 * c +: 31]), .shift(shift[32 * c +: 6]),
                .zero_point(zero_point), .low(low), .high(high), .mutant(mutant),
                .code(code[32 * c +: 32])
            );
        end
    endgenerate

    always @(posedge clk) if (valid) memory[pixel] <= accumulator;
endmodule
