// A 2-bit by 2-bit multiplier. An operand is -2 to 1 where its flag is set, else 0 to 3.
module brick (
    input  wire        [1:0] a,
    input  wire              a_signed,
    input  wire        [1:0] w,
    input  wire              w_signed,
    output wire signed [5:0] product
);
    wire signed [2:0] a_value = {a_signed & a[1], a};
    wire signed [2:0] w_value = {w_signed & w[1], w};

    assign product = a_value * w_value;
endmodule
