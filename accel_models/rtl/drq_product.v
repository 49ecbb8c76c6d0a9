// One multiplier for 4-bit digits (5 bits by 5 bits, signed), used once or four times per product.
//
// sensitive row:    a8 * w8 in four phases, high digits first: shifts 8, 4, 4, 0
// other rows:       a4 * w4 << 8 in the first phase, 0 in the later phases
//
// Activations are unsigned; a row that is not sensitive gets its 4-bit activation in the low digit.
`include "mutants.v"

module drq_product #(
    parameter ACC = 32
) (
    input  wire             [11:0] w,          // {w4, w8}, both signed
    input  wire              [7:0] a,          // a8, or a4
    input  wire                    sensitive,
    input  wire              [1:0] phase,
    input  wire              [3:0] mutant,
    output wire signed [ACC-1:0]   product
);
    wire a_low = sensitive ? phase[1] : 1'b1;  // phases: high*high, high*low, low*high, low*low
    wire w_low = sensitive & phase[0];
    wire w_digit_signed = ~w_low | (mutant == `MUTANT_SIGNED);

    wire [3:0] a_digit = a_low ? a[3:0] : a[7:4];
    wire [3:0] w_digit = !sensitive ? w[11:8] : w_low ? w[3:0] : w[7:4];

    wire signed [4:0] a_value = {1'b0, a_digit};
    wire signed [4:0] w_value = {w_digit_signed & w_digit[3], w_digit};
    wire signed [9:0] digits = a_value * w_value;

    reg [3:0] shift;
    always @* begin
        if (!sensitive)                         shift = 4'd8;
        else if (phase == 2'd0)                 shift = 4'd8;
        else if (phase == 2'd3)                 shift = 4'd0;
        else if (mutant == `MUTANT_SHIFT)       shift = 4'd5;
        else                                    shift = 4'd4;
    end

    wire signed [ACC-1:0] wide = digits;  // sign-extended
    assign product = (sensitive | (phase == 2'd0)) ? wide <<< shift : 0;
endmodule
