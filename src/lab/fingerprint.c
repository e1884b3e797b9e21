/* fingerprint.c -- FNV-1a over the bytes; the mix spreads the last ones, which FNV
 * alone leaves in the low bits. */
#include "lab/fingerprint.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

uint64_t fingerprint(const void *data, size_t n, uint64_t seed)
{
    const unsigned char *p = data;
    uint64_t h = 0xcbf29ce484222325u ^ seed;
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93u;
    return h ^ (h >> 32);
}

uint64_t fingerprint_text(const char *s, uint64_t seed)
{
    return fingerprint(s, strlen(s) + 1, seed);
}

void fingerprint_hex(uint64_t mark, char dst[17])
{
    snprintf(dst, 17, "%016" PRIx64, mark);
}
