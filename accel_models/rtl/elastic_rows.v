// Rows 1 to ROWS - 1 of an elastic array: each begins a wavefront when the row above has ended this wavefront, the
// row itself has ended its previous wavefront, and the queue below has a free place. The sequencer controls row 0.
//
//   begin[i, r] = max(end[i-1, r], end[i, r-1], begin[i-PLACES, r+1])      end = begin + 1 or 4
module elastic_rows #(
    parameter ROWS = 4,
    parameter PLACES = 1
) (
    input  wire               clk,
    input  wire               rst,
    input  wire         [3:0] mutant,
    input  wire        [15:0] pixels,
    input  wire        [15:0] k_folds,
    input  wire        [15:0] n_folds,
    input  wire    [ROWS-1:0] slow,       // of each row's present wavefront
    input  wire        [15:0] pixel_0,
    input  wire        [15:0] k_0,
    input  wire         [4:0] phase_0,    // {valid, phase, last, swap} of row 0
    output wire               room_0,     // row 0 may begin a wavefront
    output wire [32*ROWS-1:0] pixel,      // pixel of each row, row 0 included
    output wire [32*ROWS-1:0] k,
    output wire  [5*ROWS-1:0] phase
);
    wire begins [0:ROWS];
    wire ends   [0:ROWS-1];
    wire room   [0:ROWS-1];

    assign begins[0] = phase_0[4] & (phase_0[3:2] == 2'd0);
    assign ends[0] = phase_0[4] & phase_0[1];
    assign room_0 = room[0];
    assign pixel[31:0] = {16'd0, pixel_0};
    assign k[31:0] = {16'd0, k_0};
    assign phase[4:0] = phase_0;
    assign room[ROWS-1] = 1'b1;  // the sums of the last row are read at once

    genvar r;
    generate
        for (r = 1; r < ROWS; r = r + 1) begin : row
            wire complete, valid, last, swap;
            wire [1:0] part;
            wire [15:0] row_pixel, row_k;
            row_link #(.PLACES(PLACES)) link (
                .clk(clk), .rst(rst), .mutant(mutant),
                .upper_begins(begins[r-1]), .upper_ends(ends[r-1]), .lower_begins(begins[r]),
                .room(room[r-1]), .complete(complete)
            );
            row_stream stream (
                .clk(clk), .rst(rst), .may_begin(complete & room[r]), .slow(slow[r]),
                .pixels(pixels), .k_folds(k_folds), .n_folds(n_folds), .pixel(row_pixel), .k(row_k), .n(),
                .valid(valid), .phase(part), .begins(begins[r]), .last(last), .swap(swap)
            );
            assign ends[r] = valid & last;
            assign phase[5 * r +: 5] = {valid, part, last, swap};
            assign pixel[32 * r +: 32] = {16'd0, row_pixel};
            assign k[32 * r +: 32] = {16'd0, row_k};
        end
    endgenerate
endmodule
