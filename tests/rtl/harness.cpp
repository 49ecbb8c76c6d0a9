// The memories around the circuit, and its clock: answers each request by index, takes what comes out.
// Compiled once per array: ROWS, COLS and HEADER (the translated circuit, class Circuit) come from build.py.
#include <cstdint>
#include "verilated.h"
#include HEADER

template <std::size_t WORDS> void put(VlWide<WORDS>& port, int i, uint32_t word) { port[i] = word; }
void put(QData& port, int i, uint32_t word) {
    port = (port & ~(0xffffffffull << 32 * i)) | (uint64_t(word) << 32 * i);
}
void put(IData& port, int, uint32_t word) { port = word; }

template <std::size_t WORDS> uint32_t get(const VlWide<WORDS>& port, int i) { return port[i]; }
uint32_t get(const QData& port, int i) { return uint32_t(port >> 32 * i); }
uint32_t get(const IData& port, int) { return port; }

// Field by field what tests/rtl/circuit.py passes; arrays are C-contiguous.
struct Layer {
    int32_t pixels, k_folds, n_folds, log_w, log_a, w_signed, a_signed, zero_point, low, high, mutant;
    const uint32_t* w;         // [n_folds][k_folds][ROWS][COLS]
    const uint32_t* a;         // [k_folds][pixels][ROWS]
    const uint8_t* mask;       // [k_folds][pixels][ROWS]
    const int32_t* hold;       // [n_folds][k_folds][pixels] cycles in which a_ready is low before a wavefront
    const uint32_t* bias;      // [n_folds][COLS], as are the next two
    const uint32_t* multiplier;
    const uint32_t* shift;
    int32_t* accumulator;      // out [pixels][n_folds][COLS]
    int32_t* code;             // out, likewise
    int32_t* arrived;          // out [pixels][n_folds]: how often a vector was given out
};

static void answer(Circuit& t, const Layer& l, int64_t held) {
    if (t.w_req)
        for (int c = 0; c < COLS; c++)
            put(t.w_words, c, l.w[((t.w_n * l.k_folds + t.w_k) * ROWS + t.w_row) * COLS + c]);
    uint64_t mask = 0;
    for (int r = 0; r < ROWS; r++) {
        const int64_t at = (int64_t(get(t.a_k, r)) * l.pixels + get(t.a_pixel, r)) * ROWS + r;
        put(t.a_words, r, l.a[at]);
        mask |= uint64_t(l.mask[at] != 0) << r;
    }
    t.a_mask = mask;
    t.a_ready = held >= l.hold[(int64_t(t.a_n) * l.k_folds + get(t.a_k, 0)) * l.pixels + get(t.a_pixel, 0)];
    for (int c = 0; c < COLS; c++) {
        put(t.bias, c, l.bias[t.o_n * COLS + c]);
        put(t.multiplier, c, l.multiplier[t.o_n * COLS + c]);
        put(t.shift, c, l.shift[t.o_n * COLS + c]);
    }
}

static void edge(Circuit& t) { t.clk = 1; t.eval(); t.clk = 0; t.eval(); }

extern "C" {
Circuit* circuit_new() {
    auto* t = new Circuit;
    t->clk = 0; t->start = 0; t->rst = 1; t->eval();
    edge(*t); edge(*t);
    t->rst = 0; t->eval();
    return t;
}

void circuit_free(Circuit* t) { t->final(); delete t; }

// Runs one layer; returns the clock edges until the circuit was no longer busy, or -1 if that took `limit` of them.
int64_t circuit_run(Circuit* t, const Layer* l, int64_t limit, uint32_t* cycles) {
    t->pixels = l->pixels; t->k_folds = l->k_folds; t->n_folds = l->n_folds;
    t->log_w = l->log_w; t->log_a = l->log_a; t->w_signed = l->w_signed; t->a_signed = l->a_signed;
    t->zero_point = l->zero_point; t->low = l->low; t->high = l->high; t->mutant = l->mutant;
    t->start = 1; t->eval(); edge(*t);
    t->start = 0; t->eval();
    int64_t edges = 0, held = 0;  // held: cycles for which the present wavefront has been kept waiting
    for (; t->busy && edges < limit; edges++) {
        answer(*t, *l, held);
        t->eval();
        if (t->a_req) held = t->a_ready ? 0 : held + 1;
        if (t->o_valid) {
            const int64_t at = int64_t(t->o_pixel) * l->n_folds + t->o_n;
            l->arrived[at]++;
            for (int c = 0; c < COLS; c++) {
                l->accumulator[at * COLS + c] = int32_t(get(t->accumulator, c));
                l->code[at * COLS + c] = int32_t(get(t->code, c));
            }
        }
        edge(*t);
    }
    *cycles = t->cycles;
    return t->busy ? -1 : edges;
}
}
