// Handshake of two elastic rows: whether the queue has room for one more partial sum, and whether one is complete.
// At most PLACES partial sums are between the rows, from the cycle in which the upper row begins one to the
// cycle in which the lower row reads it.
`include "mutants.v"

module row_link #(
    parameter PLACES = 1
) (
    input  wire       clk,
    input  wire       rst,
    input  wire [3:0] mutant,
    input  wire       upper_begins,
    input  wire       upper_ends,
    input  wire       lower_begins,
    output wire       room,
    output wire       complete
);
    reg [7:0] begun, ended;  // by the upper row, and not read yet
    assign room = (begun < PLACES) | lower_begins | (mutant == `MUTANT_ROOM && begun == PLACES);
    assign complete = ended != 8'd0;

    always @(posedge clk) begin
        if (rst) {begun, ended} <= 16'd0;
        else begin
            begun <= begun + {7'd0, upper_begins} - {7'd0, lower_begins};
            ended <= ended + {7'd0, upper_ends} - {7'd0, lower_begins};
        end
    end
endmodule
