// Faults that the input `mutant` selects, one at a time; 0 is the correct circuit.
// The comparisons of tests/rtl/test_mutants.py must detect each of them.
`ifndef MUTANTS
`define MUTANTS
`define MUTANT_SHIFT       4'd1   // one digit product is shifted one bit too far
`define MUTANT_SIGNED      4'd2   // every weight digit is signed, not only the top one
`define MUTANT_MINUS_128   4'd3   // a product with the 8-bit activation -128 is one too large
`define MUTANT_MASK_LOST   4'd4   // the last row's mask bit does not reach its PEs
`define MUTANT_MASK_UNSEEN 4'd5   // the last row's mask bit does not lengthen the wavefront
`define MUTANT_STATE       4'd6   // the sequencer has one more state between load and stream
`define MUTANT_EARLY       4'd7   // shadow weights are overwritten before the last PE has copied them
`define MUTANT_STALL       4'd8   // a stalled wavefront enters nevertheless
`define MUTANT_FORGET      4'd9   // the accumulator restarts in every k fold
`define MUTANT_TIES        4'd10  // ties are rounded away from zero, not up
`define MUTANT_ROOM        4'd11  // elastic rows assume one queue place more than there is
`endif
