// Lets the ap_fixed types of the HLS headers round, wrap, saturate and accumulate what arrives on stdin.
//
//   driver round QUANTIZATION OVERFLOW SHIFT BITS SIGNED     pairs of sum and multiplier in, codes out, all int64
//   driver dot OVERFLOW BITS ROWS TERMS COLUMNS              x [rows, terms], w [columns, terms], bias [columns]
//
// The product of a pair is a fixed-point number with SHIFT fraction bits; its code is its integer part by the modes.
// OVERFLOW of a dot product: wrap and step are the accumulator's own mode at every addition, end is AP_SAT once.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "ap_fixed.h"

using Words = std::vector<int64_t>;
using Rounder = void (*)(Words &);
using Dotter = void (*)(const int64_t *x, const int64_t *w, const int64_t *bias, Words &out, int rows, int terms,
                        int columns);

template <int SHIFT, typename CODE> void round_all(Words &words) {
    for (size_t i = 0; i < words.size() / 2; i++) {
        ap_fixed<80, 80 - SHIFT> product;
        product.range(79, 0) = ap_int<48>(words[2 * i]) * ap_int<32>(words[2 * i + 1]);
        words[i] = CODE(product).to_int64();
    }
    words.resize(words.size() / 2);
}

template <int BITS, ap_o_mode O, bool AT_END>
void dot(const int64_t *x, const int64_t *w, const int64_t *bias, Words &out, int rows, int terms, int columns) {
    using Operand = ap_fixed<17, 17>;
    using Wide = ap_fixed<56, 56>;
    using Sum = ap_fixed<BITS, BITS, AP_TRN, O>;
    std::vector<Operand> xs(x, x + rows * terms), ws(w, w + columns * terms);
    for (int row = 0; row < rows; row++)
        for (int column = 0; column < columns; column++) {
            const Operand *a = &xs[row * terms], *b = &ws[column * terms];
            Sum sum;
            if (AT_END) {
                Wide exact = bias[column];
                for (int k = 0; k < terms; k++) exact += a[k] * b[k];
                sum = exact;
            } else {
                sum = Wide(bias[column]);
                for (int k = 0; k < terms; k++) sum += a[k] * b[k];
            }
            out.push_back(sum.to_int64());
        }
}

std::map<std::string, Rounder> rounders;
std::map<std::string, Dotter> dotters;

template <ap_q_mode Q, int SHIFT, int BITS> void list_format(const std::string &mode) {
    const auto name = std::to_string(SHIFT) + " " + std::to_string(BITS);
    rounders[mode + " AP_WRAP " + name + " 1"] = round_all<SHIFT, ap_fixed<BITS, BITS, Q, AP_WRAP>>;
    rounders[mode + " AP_SAT " + name + " 1"] = round_all<SHIFT, ap_fixed<BITS, BITS, Q, AP_SAT>>;
    rounders[mode + " AP_SAT_SYM " + name + " 1"] = round_all<SHIFT, ap_fixed<BITS, BITS, Q, AP_SAT_SYM>>;
    rounders[mode + " AP_SAT " + name + " 0"] = round_all<SHIFT, ap_ufixed<BITS, BITS, Q, AP_SAT>>;
}

template <ap_q_mode Q> void list_mode(const std::string &mode) {
    list_format<Q, 0, 7>(mode);
    list_format<Q, 1, 8>(mode);
    list_format<Q, 2, 4>(mode);
    list_format<Q, 3, 2>(mode);
    list_format<Q, 5, 12>(mode);
    list_format<Q, 8, 8>(mode);
    list_format<Q, 13, 16>(mode);
    list_format<Q, 20, 3>(mode);
    list_format<Q, 31, 8>(mode);
    list_format<Q, 37, 5>(mode);
    list_format<Q, 36, 8>(mode);
    list_format<Q, 40, 4>(mode);
    list_format<Q, 47, 8>(mode);
    list_format<Q, 54, 8>(mode);
    list_format<Q, 62, 2>(mode);
}

template <int BITS> void list_width() {
    const auto name = " " + std::to_string(BITS);
    dotters["wrap" + name] = dot<BITS, AP_WRAP, false>;
    dotters["step" + name] = dot<BITS, AP_SAT, false>;
    dotters["end" + name] = dot<BITS, AP_SAT, true>;
}

int main(int count, char **words) {
    list_mode<AP_TRN>("AP_TRN");
    list_mode<AP_TRN_ZERO>("AP_TRN_ZERO");
    list_mode<AP_RND>("AP_RND");
    list_mode<AP_RND_INF>("AP_RND_INF");
    list_mode<AP_RND_CONV>("AP_RND_CONV");
    list_width<8>();
    list_width<11>();
    list_width<16>();
    list_width<17>();
    list_width<24>();
    list_width<31>();
    list_width<32>();
    list_width<33>();
    list_width<40>();
    list_width<48>();
    if (count != 7) return 2;
    Words in, out;
    int64_t word;
    while (std::fread(&word, sizeof word, 1, stdin) == 1) in.push_back(word);
    if (std::string(words[1]) == "round") {
        std::string key = words[2];
        for (int i = 3; i < 7; i++) key += std::string(" ") + words[i];
        if (!rounders.count(key)) return 3;
        out = in;
        rounders[key](out);
    } else {
        const auto key = std::string(words[2]) + " " + words[3];
        if (!dotters.count(key)) return 3;
        const int rows = std::atoi(words[4]), terms = std::atoi(words[5]), columns = std::atoi(words[6]);
        const auto x = in.data(), w = x + rows * terms, bias = w + columns * terms;
        if (int(in.size()) != (rows + columns) * terms + columns) return 4;
        dotters[key](x, w, bias, out, rows, terms, columns);
    }
    std::fwrite(out.data(), sizeof word, out.size(), stdout);
}
