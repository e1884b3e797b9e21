/* mutate.h -- a small mutation driver for parsers that read from memory.
 * Input i of a run is a pure function of (seed, i): a valid file with one to six
 * changes (bit flips, extreme bytes, cut, removed, doubled or foreign stretches,
 * edited length fields and decimal numbers), sometimes repaired by the target so that
 * the change gets past the outer layer. Every call must either succeed or fill the
 * error, leave no memory behind and stay within the budget; one call in eight has an
 * allocation fail as well. Inputs sit in blocks of their exact size, so that a
 * sanitizer sees any overrun. */
#ifndef CLEAVE_TEST_MUTATE_H
#define CLEAVE_TEST_MUTATE_H
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

enum { FUZZ_CAP = 1 << 16, FUZZ_SEEDS = 16, FUZZ_HANG_SECONDS = 20 };
#define FUZZ_BUDGET ((size_t)64 << 20)

typedef struct FuzzSeed {
    uint8_t *data;
    size_t n;
} FuzzSeed;

typedef struct FuzzTarget {
    const char *name;
    /* Fills seeds (malloc'd) and returns how many. */
    int (*seeds)(FuzzSeed *seed);
    /* Parses and releases what came out. */
    bool (*parse)(const void *data, size_t n, Err *err);
    /* Repairs d in place (cap FUZZ_CAP), returns the new length; NULL: nothing to
     * do. */
    size_t (*repair)(uint8_t *d, size_t n);
} FuzzTarget;

typedef struct FuzzStat {
    uint64_t inputs, accepted;
    char fault[1400]; /* empty: all well */
    uint64_t fault_at;
} FuzzStat;

typedef struct FuzzRng {
    uint64_t s;
} FuzzRng;

static inline uint64_t fuzz_next(FuzzRng *r)
{
    uint64_t z = r->s += 0x9e3779b97f4a7c15u; /* splitmix64 */
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static inline size_t fuzz_below(FuzzRng *r, size_t n)
{
    return n ? (size_t)(fuzz_next(r) % n) : 0;
}

/* Overwrites a field of 1, 2, 4 or 8 bytes, either byte order, with a number that
 * lengths go wrong at. */
static inline void fuzz_field(FuzzRng *r, uint8_t *d, size_t n)
{
    static const uint64_t odd[] = {
        0,         1,          2,          0x7f,       0xff,        0x7fff,
        0xffff,    0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffffffff,
        UINT64_MAX};
    size_t size = (size_t)1 << fuzz_below(r, 4);
    if (size > n)
        return;
    size_t at = fuzz_below(r, 2) ? fuzz_below(r, n - size + 1)
                                 : fuzz_below(r, (n < 32 ? n : 32) - size + 1);
    bool big = fuzz_below(r, 2);
    uint64_t v = 0;
    for (size_t i = 0; i < size; i++)
        v |= (uint64_t)d[at + i] << 8 * (big ? size - 1 - i : i);
    switch (fuzz_below(r, 4)) {
    case 0: v += 1; break;
    case 1: v -= 1; break;
    case 2: v *= 2; break;
    default: v = odd[fuzz_below(r, ARRAY_LEN(odd))]; break;
    }
    for (size_t i = 0; i < size; i++)
        d[at + i] = (uint8_t)(v >> 8 * (big ? size - 1 - i : i));
}

/* Puts `len` bytes of src at `at`, moving the rest; cut at the capacity. */
static inline size_t fuzz_insert(uint8_t *d, size_t n, size_t at, const uint8_t *src,
                                 size_t len)
{
    if (len > FUZZ_CAP - n)
        len = FUZZ_CAP - n;
    memmove(d + at + len, d + at, n - at);
    memmove(d + at, src, len);
    return n + len;
}

static inline size_t fuzz_remove(uint8_t *d, size_t n, size_t at, size_t len)
{
    memmove(d + at, d + at + len, n - at - len);
    return n - len;
}

/* Replaces one run of decimal digits by another number. */
static inline size_t fuzz_number(FuzzRng *r, uint8_t *d, size_t n)
{
    static const char *const odd[] = {"0",
                                      "1",
                                      "-1",
                                      "4294967296",
                                      "65536",
                                      "2147483648",
                                      "1e3",
                                      "007",
                                      "0.5",
                                      "",
                                      "99999999999999999999",
                                      "9223372036854775807"};
    size_t at = fuzz_below(r, n), end;
    while (at < n && (d[at] < '0' || d[at] > '9'))
        at++;
    for (end = at; end < n && d[end] >= '0' && d[end] <= '9';)
        end++;
    if (at == n)
        return n;
    const char *text = odd[fuzz_below(r, ARRAY_LEN(odd))];
    uint8_t copy[32];
    size_t len = strlen(text);
    memcpy(copy, text, len);
    return fuzz_insert(d, fuzz_remove(d, n, at, end - at), at, copy, len);
}

static inline size_t fuzz_change(FuzzRng *r, uint8_t *d, size_t n,
                                 const FuzzSeed *other)
{
    static const uint8_t bytes[] = {0, 1, 0x7f, 0x80, 0xff, '"', '{', '}', ',', '\\'};
    uint8_t copy[256];
    size_t at = fuzz_below(r, n), len = fuzz_below(r, n - at < 64 ? n - at : 64);
    if (n == 0)
        return n;
    switch (fuzz_below(r, 9)) {
    case 0: d[at] ^= (uint8_t)(1u << fuzz_below(r, 8)); return n;
    case 1: d[at] = bytes[fuzz_below(r, sizeof bytes)]; return n;
    case 2: d[at] = (uint8_t)fuzz_next(r); return n;
    case 3: fuzz_field(r, d, n); return n;
    case 4: return fuzz_number(r, d, n);
    case 5: return fuzz_below(r, 4) ? n : at; /* cut */
    case 6: return fuzz_remove(d, n, at, len);
    case 7: /* double a stretch */
        memcpy(copy, d + at, len);
        return fuzz_insert(d, n, fuzz_below(r, n), copy, len);
    default: { /* a stretch of another valid file */
        size_t from = fuzz_below(r, other->n), most = other->n - from;
        return fuzz_insert(d, n, at, other->data + from, fuzz_below(r, most + 1));
    }
    }
}

/* Input i into d (FUZZ_CAP bytes); returns its length. */
static inline size_t fuzz_make(const FuzzTarget *t, const FuzzSeed *seed, int n_seeds,
                               FuzzRng *r, uint8_t *d)
{
    const FuzzSeed *base = &seed[fuzz_below(r, (size_t)n_seeds)];
    size_t n = base->n, changes = fuzz_below(r, 7); /* none at all: a valid file */
    memcpy(d, base->data, n);
    for (size_t k = 0; k < changes; k++)
        n = fuzz_change(r, d, n, &seed[fuzz_below(r, (size_t)n_seeds)]);
    return t->repair && fuzz_below(r, 2) ? t->repair(d, n) : n;
}

/* A sentence that a terminal can show: valid UTF-8 without control characters. */
static inline bool fuzz_clean(const char *msg)
{
    for (size_t left = strlen(msg); left > 0;) {
        uint32_t rune;
        int n = utf8_next(msg, left, &rune);
        if ((n == 1 && rune == 0xfffd) || rune_width(rune) < 0)
            return false;
        msg += n;
        left -= (size_t)n;
    }
    return true;
}

/* One call and everything that must hold after it; false with the fault described. */
static inline bool fuzz_once(const FuzzTarget *t, const uint8_t *d, size_t n,
                             long fail_at, FuzzStat *st)
{
    Err err = {0};
    size_t live = mem_live();
    uint8_t *exact = malloc(n ? n : 1);
    if (!exact)
        return false;
    memcpy(exact, d, n);
    mem_fail_at(fail_at);
    bool ok = t->parse(exact, n, &err);
    mem_fail_at(0);
    free(exact);
    st->accepted += ok;
    if (mem_live() != live)
        snprintf(st->fault, sizeof st->fault, "%zu bytes before the call, %zu after",
                 live, mem_live());
    else if (!ok && (err.code == ERR_NONE || !err.msg[0]))
        snprintf(st->fault, sizeof st->fault, "refused without a reason");
    else if (!ok && (err.code == ERR_STATE || !fuzz_clean(err.msg)))
        snprintf(st->fault, sizeof st->fault, "an odd reason: %s", err.msg);
    return !st->fault[0];
}

/* Runs for so many seconds. `last` (may be NULL) is a file that always holds the input
 * being parsed, for a look after a crash. */
static inline bool fuzz_run(const FuzzTarget *t, double seconds, uint64_t seed,
                            const char *last, FuzzStat *st)
{
    FuzzSeed base[FUZZ_SEEDS];
    int n_seeds = t->seeds(base);
    uint8_t *d = malloc(FUZZ_CAP);
    FILE *f = last ? fopen(last, "wb") : NULL;
    size_t budget = mem_budget();
    double end = clock_now() + seconds;
    memset(st, 0, sizeof *st);
    mem_set_budget(FUZZ_BUDGET + mem_live());
    bool ok = d && n_seeds > 0;
    for (uint64_t i = 0; ok; i++) {
        if (i % 256 == 0) {
            if (clock_now() > end)
                break;
            alarm(FUZZ_HANG_SECONDS); /* a hang ends in SIGALRM */
        }
        FuzzRng r = {seed * 0x2545f4914f6cdd1du + i};
        size_t n = fuzz_make(t, base, n_seeds, &r, d);
        long fail_at = fuzz_below(&r, 8) ? 0 : 1 + (long)fuzz_below(&r, 12);
        if (f) {
            rewind(f);
            ok = fwrite(d, 1, n, f) == n && fflush(f) == 0 &&
                 ftruncate(fileno(f), (off_t)n) == 0;
        }
        st->inputs++;
        st->fault_at = i;
        ok = ok && fuzz_once(t, d, n, fail_at, st);
    }
    alarm(0);
    mem_set_budget(budget);
    if (f)
        fclose(f);
    for (int i = 0; i < n_seeds; i++)
        free(base[i].data);
    free(d);
    return ok;
}
#endif
