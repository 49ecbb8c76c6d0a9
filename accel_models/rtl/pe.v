// A processing element: stores a weight word, multiplies the activations that move to the right, and adds the product
// to the partial sum that moves down.
//
// KIND 0 (fused) takes one phase per wavefront, KIND 1 (DRQ) one or four, whose products are summed here.
//
// PLACES 0, rows in lock-step: the partial sum is added in the last phase. By then the PE above has just
// finished the same wavefront, so that partial sums move down one row per cycle for any number of phases.
// PLACES > 0, elastic rows: the partial sum is read from the PE above in the first phase, and queued here
// until the PE below reads it.
//
// DOUBLE 0: weights shift down through the weight register. DOUBLE 1: they shift down through a
// shadow register, and the first wavefront of a tile carries the flag `swap`, which copies it to the weight register.
module pe #(
    parameter KIND = 0,
    parameter DOUBLE = 0,
    parameter PLACES = 0,
    parameter ACC = 32
) (
    input  wire                  clk,
    input  wire                  rst,
    input  wire            [1:0] log_w,
    input  wire            [1:0] log_a,
    input  wire                  w_signed,
    input  wire                  a_signed,
    input  wire            [3:0] mutant,

    input  wire                  w_load,      // weights move down one row in this cycle
    input  wire           [31:0] w_in,
    output reg            [31:0] w_out,

    input  wire           [37:0] a_in,        // {valid, phase, last, swap, sensitive, activation word}
    output reg            [37:0] a_out,

    input  wire signed [ACC-1:0] psum_in,
    output wire                  takes,       // reads psum_in, if rows are elastic
    output wire signed [ACC-1:0] psum_out,
    input  wire                  taken,       // psum_out was read, if rows are elastic
    output reg                   done         // with a wavefront, in the cycle before
);
    wire        valid, last, swap, sensitive;
    wire  [1:0] phase;
    wire [31:0] word;
    assign {valid, phase, last, swap, sensitive, word} = a_in;

    // Weights. In its first cycle a swapped weight is used directly from the shadow register.
    wire [31:0] weight;
    always @(posedge clk) if (w_load) w_out <= w_in;

    generate
        if (DOUBLE != 0) begin : double_buffer
            reg [31:0] active;
            assign weight = swap ? w_out : active;
            always @(posedge clk) active <= weight;
        end else begin : single_buffer
            assign weight = w_out;
        end
    endgenerate

    // One phase's product.
    wire signed [ACC-1:0] product;

    generate
        if (KIND != 0) begin : drq
            drq_product #(.ACC(ACC)) multiplier (
                .w(weight[11:0]), .a(word[7:0]), .sensitive(sensitive), .phase(phase),
                .mutant(mutant), .product(product)
            );
        end else begin : fused
            fused_product #(.ACC(ACC)) multiplier (
                .log_w(log_w), .log_a(log_a), .w_signed(w_signed), .a_signed(a_signed),
                .w(weight), .a(word), .mutant(mutant), .product(product)
            );
        end
    endgenerate

    // The sum over the phases, and the partial sum.
    reg signed [ACC-1:0] earlier;
    wire signed [ACC-1:0] from_above = PLACES == 0 ? 0 : psum_in;
    wire signed [ACC-1:0] sum = (phase == 2'd0 ? from_above : earlier) + product;
    assign takes = valid & (phase == 2'd0);

    generate
        if (PLACES == 0) begin : lock_step
            reg signed [ACC-1:0] psum;
            assign psum_out = psum;
            always @(posedge clk) psum <= psum_in + sum;
        end else begin : elastic
            psum_queue #(.PLACES(PLACES), .ACC(ACC)) queue (
                .clk(clk), .rst(rst), .put(valid & last), .in(sum), .take(taken), .out(psum_out)
            );
        end
    endgenerate

    always @(posedge clk) begin
        earlier <= sum;
        done    <= ~rst & valid & last;
        a_out   <= rst ? 38'd0 : a_in;
    end
endmodule
