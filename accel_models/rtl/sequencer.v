// Controls a layer: loads each tile's weights, streams its wavefronts, counts its output vectors.
//
// A tile is one n fold and one k fold, k innermost. Three counters iterate over the layer, each with its own
// position: weight rows that enter, wavefronts that enter, vectors that leave.
//
//   load     ROWS cycles, the last row's words first
//   stream   a wavefront takes one cycle, or four if `slow`; while `a_ready` is low no wavefront enters
//   drain    the last vector of a tile is out ROWS + COLS - 1 cycles after its last wavefront went in
//
// The next load begins in the cycle after the last vector of the tile before it (DOUBLE 0), or in the
// cycle after the last PE has taken its weight from the shadow register (DOUBLE 1). In the second case the
// next stream begins as soon as both that load and the present stream have ended.
`include "mutants.v"

module sequencer #(
    parameter ROWS = 4,
    parameter DOUBLE = 0
) (
    input  wire        clk,
    input  wire        rst,
    input  wire  [3:0] mutant,

    input  wire        start,
    input  wire [15:0] pixels,     // wavefronts per tile
    input  wire [15:0] k_folds,
    input  wire [15:0] n_folds,
    output reg         busy,
    output reg  [31:0] cycles,     // counts while busy; keeps its value afterwards

    output wire        w_req,      // the weight words of one row move in
    output wire [15:0] w_row,
    output wire [15:0] w_k,
    output wire [15:0] w_n,
    input  wire        swapped,    // the flag `swap` is in the last PE

    output wire        a_req,      // a wavefront is ready to enter
    input  wire        a_ready,    // and enters
    output wire [15:0] a_pixel,
    output wire [15:0] a_k,
    output wire [15:0] a_n,
    input  wire        room,       // the array has room for it (always, if its rows move in lock-step)
    input  wire        slow,       // it takes four phases
    output wire        valid,      // a phase takes place in this cycle
    output wire  [1:0] phase,
    output wire        last,       // the last of its wavefront
    output wire        swap,       // the first of its tile

    input  wire        o_valid,
    output wire [15:0] o_pixel,
    output wire [15:0] o_n,
    output wire        first_k,
    output wire        last_k
);
    // Load.
    reg loading, tiles_left;
    wire [15:0] w_count;
    wire row_last, weights_last;
    fold_counter weights (
        .clk(clk), .rst(rst), .step(loading), .items(ROWS[15:0]), .k_folds(k_folds), .n_folds(n_folds),
        .item(w_count), .k(w_k), .n(w_n), .last_item(row_last), .last_k(), .last(weights_last)
    );
    assign w_req = loading;
    assign w_row = ROWS[15:0] - 16'd1 - w_count;
    wire loaded = loading & row_last;

    // Stream.
    reg full;    // a loaded tile waits for its first wavefront
    reg paused;  // the mutant's state
    wire phase_valid;
    wire present = full | (a_pixel != 16'd0);
    row_stream wavefronts (
        .clk(clk), .rst(rst), .may_begin(present & room & a_ready), .slow(slow),
        .pixels(pixels), .k_folds(k_folds), .n_folds(n_folds), .pixel(a_pixel), .k(a_k), .n(a_n),
        .valid(phase_valid), .phase(phase), .begins(), .last(last), .swap(swap)
    );
    assign a_req = present & room & (phase == 2'd0);
    assign valid = phase_valid | (a_req & (mutant == `MUTANT_STALL));

    // Drain.
    wire [15:0] o_k;
    wire vector_last, vectors_last;
    fold_counter vectors (
        .clk(clk), .rst(rst), .step(o_valid), .items(pixels), .k_folds(k_folds), .n_folds(n_folds),
        .item(o_pixel), .k(o_k), .n(o_n), .last_item(vector_last), .last_k(last_k), .last(vectors_last)
    );
    assign first_k = o_k == 16'd0;

    wire free = DOUBLE == 0 ? o_valid & vector_last : mutant == `MUTANT_EARLY ? swap : swapped;

    always @(posedge clk) begin
        paused <= loaded;
        if (rst) begin
            {busy, loading, tiles_left, full} <= 4'd0;
            cycles <= 32'd0;
        end else if (!busy) begin
            {busy, loading, tiles_left} <= {3{start}};
            if (start) cycles <= 32'd0;
        end else begin
            cycles <= cycles + 32'd1;
            if (loaded) begin
                loading <= 1'b0;
                tiles_left <= ~weights_last;
            end
            if (free & tiles_left) loading <= 1'b1;

            if (mutant == `MUTANT_STATE ? paused : loaded) full <= 1'b1;
            if (swap) full <= 1'b0;

            if (o_valid & vectors_last) busy <= 1'b0;
        end
    end
endmodule
