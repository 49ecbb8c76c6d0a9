// Queue of the partial sums of a PE until the PE below reads them, in order. It never contains more than PLACES.
module psum_queue #(
    parameter PLACES = 1,
    parameter ACC = 32
) (
    input  wire           clk,
    input  wire           rst,
    input  wire           put,
    input  wire [ACC-1:0] in,
    input  wire           take,
    output wire [ACC-1:0] out   // the oldest
);
    reg [ACC-1:0] place [0:PLACES-1];
    reg [7:0] newest, oldest;
    assign out = place[oldest];

    always @(posedge clk) begin
        if (put) place[newest] <= in;
        if (rst) {newest, oldest} <= 16'd0;
        else begin
            if (put)  newest <= newest == PLACES - 1 ? 8'd0 : newest + 8'd1;
            if (take) oldest <= oldest == PLACES - 1 ? 8'd0 : oldest + 8'd1;
        end
    end
endmodule
