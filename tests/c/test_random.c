/* SPDX-License-Identifier: BSD-3-Clause */
/* Philox4x32-10 against the known answers of its authors (Random123 1.14, kat_vectors). */
#include "harness.h"

int main(void) {
    static const uint32_t known[3][10] = {
        {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d, 0x41c83b0e, 0xa20bc7c6,
         0x6d5451fd},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09, 0x94fdcceb, 0x5001e420,
         0x24126ea1},
    };
    for (int i = 0; i < 3; i++) {
        uint32_t out[4];
        cbn_philox(known[i], known[i] + 4, out);
        CHECK(memcmp(out, known[i] + 6, sizeof out) == 0);
    }

    /* uniforms: in [0, 1), the same whatever the window they are asked in, different between chains and purposes */
    double whole[3 * 10], part[3 * 5], other[3 * 10];
    CHECK(cbn_uniform(7, CBN_RANDOM_FLIP, 3, 100, 10, whole) == CBN_OK);
    CHECK(cbn_uniform(7, CBN_RANDOM_FLIP, 3, 103, 5, part) == CBN_OK);
    CHECK(cbn_uniform(7, CBN_RANDOM_SITE, 3, 100, 10, other) == CBN_OK);
    for (int chain = 0; chain < 3; chain++) {
        for (int i = 0; i < 5; i++) CHECK(part[5 * chain + i] == whole[10 * chain + 3 + i]);
        for (int i = 0; i < 10; i++) {
            CHECK(whole[10 * chain + i] >= 0.0 && whole[10 * chain + i] < 1.0);
            CHECK(whole[10 * chain + i] != other[10 * chain + i]);
            CHECK(chain == 0 || whole[10 * chain + i] != whole[i]);
        }
    }
    CHECK(cbn_uniform(7, 1, 0, 0, 1, whole) == CBN_E_SIZE);
    CHECK(cbn_uniform(7, 1, 1, 0, 1, NULL) == CBN_E_NULL);
    return report(__FILE__);
}
