// Position in a layer: for n in n folds, for k in k folds, for item in items. Restarts after the last item.
module fold_counter (
    input  wire        clk,
    input  wire        rst,
    input  wire        step,       // this item is done
    input  wire [15:0] items,
    input  wire [15:0] k_folds,
    input  wire [15:0] n_folds,
    output reg  [15:0] item,
    output reg  [15:0] k,
    output reg  [15:0] n,
    output wire        last_item,  // of a tile
    output wire        last_k,
    output wire        last        // item of the layer
);
    assign last_item = item == items - 16'd1;
    assign last_k = k == k_folds - 16'd1;
    assign last = last_item & last_k & (n == n_folds - 16'd1);

    always @(posedge clk) begin
        if (rst | (step & last))             {n, k, item} <= 48'd0;
        else if (step & last_item & last_k)  {n, k, item} <= {n + 16'd1, 32'd0};
        else if (step & last_item)           {k, item} <= {k + 16'd1, 16'd0};
        else if (step)                       item <= item + 16'd1;
    end
endmodule
