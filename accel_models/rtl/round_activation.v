// Four bits of an unsigned 8-bit activation: min((a8 + 8) >> 4, 15).
module round_activation (
    input  wire [7:0] a8,
    output wire [7:0] a4
);
    wire [8:0] sum = {1'b0, a8} + 9'd8;
    assign a4 = sum[8] ? 8'd15 : {4'd0, sum[7:4]};
endmodule
