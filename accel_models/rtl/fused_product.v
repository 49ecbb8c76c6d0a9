// Sixteen bricks, fused at run time into 16 / (digits of w * digits of a) products that are summed up.
//
// Lane l multiplies bits [l*wbits +: wbits] of the weight word by bits [l*abits +: abits] of the
// activation word. Brick K serves one pair of 2-bit digits (i of the weight, j of the activation) of
// one lane; only the top digit of a signed operand is signed.
`include "mutants.v"

module fused_product #(
    parameter ACC = 32
) (
    input  wire              [1:0] log_w,     // log2 of the 2-bit digits per weight: 0, 1, 2 for 2, 4, 8 bits
    input  wire              [1:0] log_a,
    input  wire                    w_signed,
    input  wire                    a_signed,
    input  wire             [31:0] w,
    input  wire             [31:0] a,
    input  wire              [3:0] mutant,
    output wire signed [ACC-1:0]   product
);
    wire [1:0] w_top = (2'd1 << log_w) - 2'd1;  // index of the top digit
    wire [1:0] a_top = (2'd1 << log_a) - 2'd1;

    wire signed [ACC-1:0] sum [0:16];
    assign sum[0] = 0;

    genvar K;
    generate
        for (K = 0; K < 16; K = K + 1) begin : bricks
            localparam [3:0] INDEX = K;

            wire [3:0] pair = INDEX >> log_a;
            wire [3:0] lane = pair >> log_w;
            wire [1:0] i = pair[1:0] & w_top;
            wire [1:0] j = INDEX[1:0] & a_top;
            wire [3:0] w_digit = (lane << log_w) + {2'd0, i};
            wire [3:0] a_digit = (lane << log_a) + {2'd0, j};
            wire       w_top_digit = (i == w_top) | (mutant == `MUTANT_SIGNED);

            wire signed [5:0] digits;
            brick brick (
                .a(a[2 * a_digit +: 2]), .a_signed(a_signed & (j == a_top)),
                .w(w[2 * w_digit +: 2]), .w_signed(w_signed & w_top_digit),
                .product(digits)
            );

            wire [3:0] shift = 4'd2 * ({2'd0, i} + {2'd0, j}) + ((mutant == `MUTANT_SHIFT && K == 1) ? 4'd1 : 4'd0);
            wire signed [ACC-1:0] wide = digits;  // sign-extended
            assign sum[K + 1] = sum[K] + (wide <<< shift);
        end
    endgenerate

    wire minus_128 = (mutant == `MUTANT_MINUS_128) & a_signed & (log_a == 2'd2) & (a[7:0] == 8'h80);
    assign product = sum[16] + (minus_128 ? 1 : 0);
endmodule
