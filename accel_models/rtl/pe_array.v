// ROWS x COLS processing elements: weights enter at the top, wavefronts at the left, sums leave below.
module pe_array #(
    parameter ROWS = 4,
    parameter COLS = 4,
    parameter KIND = 0,
    parameter DOUBLE = 0,
    parameter PLACES = 0,
    parameter ACC = 32
) (
    input  wire                clk,
    input  wire                rst,
    input  wire          [1:0] log_w,
    input  wire          [1:0] log_a,
    input  wire                w_signed,
    input  wire                a_signed,
    input  wire          [3:0] mutant,

    input  wire                w_load,
    input  wire [32*COLS-1:0]  w_top,       // one weight word per column
    input  wire [38*ROWS-1:0]  a_left,      // one phase per row, as pe.v reads it

    output wire [ACC*COLS-1:0] psum_below,  // column c is one cycle later than column c - 1
    output wire [COLS-1:0]     done_below,
    output wire                swapped      // the flag `swap` is in the last PE
);
    // Wires between the PEs: index r, c is above row r or left of column c.
    wire             [31:0] w    [0:(ROWS+1)*COLS-1];
    wire signed [ACC-1:0]   psum [0:(ROWS+1)*COLS-1];
    wire             [37:0] a    [0:ROWS*(COLS+1)-1];
    wire                    done [0:(ROWS+1)*COLS-1];
    wire                    take [0:(ROWS+1)*COLS-1];

    genvar r, c;
    generate
        for (r = 0; r < ROWS; r = r + 1) begin : left
            assign a[r * (COLS+1)] = a_left[38 * r +: 38];
        end
        for (c = 0; c < COLS; c = c + 1) begin : top_and_below
            assign w[c] = w_top[32 * c +: 32];
            assign psum[c] = 0;
            assign done[c] = 1'b0;
            assign take[ROWS * COLS + c] = done[ROWS * COLS + c];
            assign psum_below[ACC * c +: ACC] = psum[ROWS * COLS + c];
            assign done_below[c] = done[ROWS * COLS + c];
        end
        for (r = 0; r < ROWS; r = r + 1) begin : row
            for (c = 0; c < COLS; c = c + 1) begin : column
                pe #(.KIND(KIND), .DOUBLE(DOUBLE), .PLACES(PLACES), .ACC(ACC)) pe (
                    .clk(clk), .rst(rst), .log_w(log_w), .log_a(log_a), .w_signed(w_signed), .a_signed(a_signed),
                    .mutant(mutant), .w_load(w_load),
                    .w_in(w[r * COLS + c]),          .w_out(w[(r+1) * COLS + c]),
                    .a_in(a[r * (COLS+1) + c]),      .a_out(a[r * (COLS+1) + c + 1]),
                    .psum_in(psum[r * COLS + c]),    .psum_out(psum[(r+1) * COLS + c]),
                    .takes(take[r * COLS + c]),      .taken(take[(r+1) * COLS + c]),
                    .done(done[(r+1) * COLS + c])
                );
            end
        end
    endgenerate

    assign swapped = a[ROWS * (COLS+1) - 2][33];
endmodule
