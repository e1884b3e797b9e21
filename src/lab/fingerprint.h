/* fingerprint.h -- a 64-bit mark of some bytes, to tell texts apart that nobody
 * forges: FNV-1a (Fowler, Noll, Vo 1991) with a final mix. Pieces are chained
 * through `seed`. */
#ifndef CLEAVE_LAB_FINGERPRINT_H
#define CLEAVE_LAB_FINGERPRINT_H
#include <stddef.h>
#include <stdint.h>

uint64_t fingerprint(const void *data, size_t n, uint64_t seed);
uint64_t fingerprint_text(const char *s, uint64_t seed); /* its NUL included */
void fingerprint_hex(uint64_t mark, char dst[17]);
#endif
