// Iterates over the wavefronts of a layer, phase by phase: one phase each, or four where `slow`.
module row_stream (
    input  wire        clk,
    input  wire        rst,
    input  wire        may_begin,  // a wavefront may begin, if none is in progress
    input  wire        slow,       // the present wavefront takes four phases
    input  wire [15:0] pixels,
    input  wire [15:0] k_folds,
    input  wire [15:0] n_folds,
    output wire [15:0] pixel,      // of the present wavefront, or of the next one
    output wire [15:0] k,
    output wire [15:0] n,
    output wire        valid,      // a phase takes place in this cycle
    output reg   [1:0] phase,
    output wire        begins,     // the first of its wavefront
    output wire        last,       // the last of its wavefront
    output wire        swap        // the first of its tile
);
    wire between = phase == 2'd0;
    assign begins = between & may_begin;
    assign valid = begins | ~between;
    assign last = phase == (slow ? 2'd3 : 2'd0);
    assign swap = begins & (pixel == 16'd0);

    fold_counter wavefronts (
        .clk(clk), .rst(rst), .step(valid & last), .items(pixels), .k_folds(k_folds), .n_folds(n_folds),
        .item(pixel), .k(k), .n(n), .last_item(), .last_k(), .last()
    );

    always @(posedge clk) begin
        if (rst)         phase <= 2'd0;
        else if (valid)  phase <= last ? 2'd0 : phase + 2'd1;
    end
endmodule
