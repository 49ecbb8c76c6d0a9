// A weight-stationary accelerator: ROWS x COLS PEs, skew, deskew, sequencer, accumulator, requantization.
//
// `start` runs one layer. Outside the circuit are only memories, read by index in the same cycle: weight
// words of a row and tile, activation words of a pixel and k fold, bias and requantizer of an n fold.
// o_valid is high when the vector of pixel `o_pixel`, n fold `o_n`, is complete; see sequencer.v for the timing.
`include "mutants.v"

module weight_stationary #(
    parameter ROWS = 4,
    parameter COLS = 4,
    parameter KIND = 0,    // 0: fused (sixteen 2-bit bricks), 1: DRQ (one 4-bit multiplier)
    parameter DOUBLE = 0,  // 1: the next tile's weights are loaded while the present tile streams
    parameter PLACES = 0,  // 0: rows move in lock-step; else elastic: partial sums between two rows
    parameter DEPTH = 64,  // largest number of pixels of a layer
    parameter ACC = 32
) (
    input  wire                clk,
    input  wire                rst,
    input  wire          [3:0] mutant,

    input  wire                start,
    input  wire         [15:0] pixels,
    input  wire         [15:0] k_folds,
    input  wire         [15:0] n_folds,
    input  wire          [1:0] log_w,      // KIND 0: the widths are 2 << log bits
    input  wire          [1:0] log_a,
    input  wire                w_signed,
    input  wire                a_signed,
    input  wire signed  [31:0] zero_point,
    input  wire signed  [31:0] low,
    input  wire signed  [31:0] high,
    output wire                busy,
    output wire         [31:0] cycles,

    output wire                w_req,
    output wire         [15:0] w_row,
    output wire         [15:0] w_k,
    output wire         [15:0] w_n,
    input  wire [32*COLS-1:0]  w_words,    // KIND 1: {w4, w8} in the low 12 bits

    output wire                a_req,
    input  wire                a_ready,
    output wire [32*ROWS-1:0]  a_pixel,    // of each row; equal for all rows in lock-step
    output wire [32*ROWS-1:0]  a_k,
    output wire         [15:0] a_n,        // of row 0
    input  wire [32*ROWS-1:0]  a_words,    // KIND 1: a8 in the low 8 bits
    input  wire [ROWS-1:0]     a_mask,     // KIND 1: which rows are sensitive

    output wire                o_valid,
    output wire         [15:0] o_pixel,
    output wire         [15:0] o_n,
    input  wire [ACC*COLS-1:0] bias,
    input  wire  [32*COLS-1:0] multiplier, // below 2^31
    input  wire  [32*COLS-1:0] shift,      // 0 to 62
    output wire [ACC*COLS-1:0] accumulator,
    output wire  [32*COLS-1:0] code
);
    wire swapped, first_k, last_k, room, slow;
    wire [4:0] phase;               // {valid, phase, last, swap} from the sequencer
    wire [15:0] pixel, k;
    wire [COLS-1:0] vector_done;
    wire vector_valid = &vector_done;

    sequencer #(.ROWS(ROWS), .DOUBLE(DOUBLE)) sequencer (
        .clk(clk), .rst(rst), .mutant(mutant),
        .start(start), .pixels(pixels), .k_folds(k_folds), .n_folds(n_folds), .busy(busy), .cycles(cycles),
        .w_req(w_req), .w_row(w_row), .w_k(w_k), .w_n(w_n), .swapped(swapped),
        .a_req(a_req), .a_ready(a_ready), .a_pixel(pixel), .a_k(k), .a_n(a_n), .room(room), .slow(slow),
        .valid(phase[4]), .phase(phase[3:2]), .last(phase[1]), .swap(phase[0]),
        .o_valid(vector_valid), .o_pixel(o_pixel), .o_n(o_n), .first_k(first_k), .last_k(last_k)
    );

    // Sensitive rows, for the PEs and for the length of wavefronts.
    wire [ROWS-1:0] lost = {mutant == `MUTANT_MASK_LOST, {ROWS-1{1'b0}}};
    wire [ROWS-1:0] unseen = {mutant == `MUTANT_MASK_UNSEEN, {ROWS-1{1'b0}}};
    wire [ROWS-1:0] sensitive = a_mask & ~lost;
    wire [ROWS-1:0] slow_rows = KIND != 0 ? a_mask & ~unseen : {ROWS{1'b0}};

    // Left edge. Activations of rows that are not sensitive are rounded to 4 bits.
    wire [33*ROWS-1:0] operand;
    wire [38*ROWS-1:0] entering;

    genvar r, c;
    generate
        for (r = 0; r < ROWS; r = r + 1) begin : edge_row
            wire [31:0] word = a_words[32 * r +: 32];
            if (KIND != 0) begin : drq
                wire [7:0] a4;
                round_activation rounding (.a8(word[7:0]), .a4(a4));
                assign operand[33 * r +: 33] = {sensitive[r], 24'd0, sensitive[r] ? word[7:0] : a4};
            end else begin : fused
                assign operand[33 * r +: 33] = {1'b0, word};
            end
        end

        if (PLACES == 0) begin : lock_step
            // One sensitive row makes a wavefront slow for all rows. Row r is r cycles behind row 0.
            assign room = 1'b1;
            assign slow = |slow_rows;
            assign a_pixel = {ROWS{16'd0, pixel}};
            assign a_k = {ROWS{16'd0, k}};
            for (r = 0; r < ROWS; r = r + 1) begin : skew
                delay #(.WIDTH(38), .STAGES(r)) delay (
                    .clk(clk), .rst(rst), .in({phase, operand[33 * r +: 33]}), .out(entering[38 * r +: 38])
                );
            end
        end else begin : elastic
            // Each row has its own speed.
            wire [5*ROWS-1:0] phases;
            assign slow = slow_rows[0];
            elastic_rows #(.ROWS(ROWS), .PLACES(PLACES)) rows (
                .clk(clk), .rst(rst), .mutant(mutant),
                .pixels(pixels), .k_folds(k_folds), .n_folds(n_folds), .slow(slow_rows),
                .pixel_0(pixel), .k_0(k), .phase_0(phase), .room_0(room),
                .pixel(a_pixel), .k(a_k), .phase(phases)
            );
            for (r = 0; r < ROWS; r = r + 1) begin : row
                assign entering[38 * r +: 38] = {phases[5 * r +: 5], operand[33 * r +: 33]};
            end
        end
    endgenerate

    wire [ACC*COLS-1:0] psum, vector;
    wire [COLS-1:0] psum_done;
    pe_array #(.ROWS(ROWS), .COLS(COLS), .KIND(KIND), .DOUBLE(DOUBLE), .PLACES(PLACES), .ACC(ACC)) pes (
        .clk(clk), .rst(rst), .log_w(log_w), .log_a(log_a), .w_signed(w_signed), .a_signed(a_signed),
        .mutant(mutant), .w_load(w_req), .w_top(w_words), .a_left(entering),
        .psum_below(psum), .done_below(psum_done), .swapped(swapped)
    );

    // Lower edge: delay column c by COLS - 1 - c cycles, so that all columns of a vector leave together.
    generate
        for (c = 0; c < COLS; c = c + 1) begin : deskew
            delay #(.WIDTH(ACC + 1), .STAGES(COLS - 1 - c)) delay (
                .clk(clk), .rst(rst),
                .in({psum_done[c], psum[ACC * c +: ACC]}), .out({vector_done[c], vector[ACC * c +: ACC]})
            );
        end
    endgenerate

    output_stage #(.COLS(COLS), .DEPTH(DEPTH), .ACC(ACC)) outputs (
        .clk(clk), .mutant(mutant), .valid(vector_valid), .pixel(o_pixel), .first_k(first_k), .vector(vector),
        .bias(bias), .multiplier(multiplier), .shift(shift), .zero_point(zero_point), .low(low), .high(high),
        .accumulator(accumulator), .code(code)
    );
    assign o_valid = vector_valid & last_k;
endmodule
