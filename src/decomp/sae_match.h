/* sae_match.h -- which latent of one autoencoder is which of another, and what matching
 * unrelated ones would give: in few dimensions random directions are alike, so no such
 * figure says anything without its chance level. Latents that are active on no example
 * are left out. */
#ifndef CLEAVE_DECOMP_SAE_MATCH_H
#define CLEAVE_DECOMP_SAE_MATCH_H
#include "decomp/sae.h"

typedef struct SaeMatch {
    double alive, other_alive;      /* latents that take part */
    double mmcs, forward, back;     /* mean of the largest cosine of decoder rows */
    double chance, chance_sd;       /* of mmcs: random directions, over draws */
    double matched, matched_chance; /* one to one (Hungarian), of |pairs| */
    double alike, alike_chance; /* correlation of codes, one to one; chance: examples
                                     of one of them shuffled */
    bool by_chance;             /* mmcs is within three deviations of chance */
} SaeMatch;
typedef struct SaeMatchRow {
    const char *name, *doc;
    size_t offset;
} SaeMatchRow;
extern const SaeMatchRow sae_match_rows[];
extern const size_t sae_n_match_rows;

/* x f32 [N,D]: the examples codes are compared on. Sizes of cosines, not their signs,
 * where a code has signs. ERR_SHAPE: decoders of other widths; ERR_NUMERIC: no latent
 * is active. Interruptible between its parts. */
bool sae_match(Sae *a, Sae *b, const Tensor *x, int64_t seed, SaeMatch *out, Err *err);
#endif
