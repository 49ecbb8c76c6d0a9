// WIDTH bits, STAGES cycles later (none is allowed).
module delay #(
    parameter WIDTH = 1,
    parameter STAGES = 1
) (
    input  wire             clk,
    input  wire             rst,
    input  wire [WIDTH-1:0] in,
    output wire [WIDTH-1:0] out
);
    generate
        if (STAGES == 0) begin : wires
            assign out = in;
        end else begin : registers
            reg [WIDTH-1:0] stage [0:STAGES-1];
            integer s;
            assign out = stage[STAGES-1];
            always @(posedge clk) begin
                stage[0] <= rst ? {WIDTH{1'b0}} : in;
                for (s = 1; s < STAGES; s = s + 1) stage[s] <= rst ? {WIDTH{1'b0}} : stage[s-1];
            end
        end
    endgenerate
endmodule
