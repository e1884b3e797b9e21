/* label.h -- what a displayed pattern looks like, in words, and whether that says
 * anything. Shape: the largest |cosine| with the stroke bank, templates moved by up to
 * `shifts` pixels. A pattern has a shape if that beats all `draws` of its own null, a
 * random field of the same place, spread and smoothness (one in draws + 1 would by
 * chance), and reaches `least`; it has lines besides if it beats fields of its own
 * envelope too, which keeps an outline and loses what is finer than 7 pixels. Place: the ink of the digit's own images under the pattern's energy against
 * that of the others; below `gap` times it the pattern sits where the digit is empty.
 * Labels: of patterns that speak for their digit stroke, hook, loop or dot by shape;
 * of those that speak against it gap by place, else counter-evidence by shape; mixed
 * when neither holds. */
#ifndef CLEAVE_DECOMP_LABEL_H
#define CLEAVE_DECOMP_LABEL_H
#include "decomp/dictionary.h"

typedef enum Label {
    LABEL_NONE, /* nothing is displayed */
    LABEL_MIXED,
    LABEL_STROKE,
    LABEL_HOOK,
    LABEL_LOOP,
    LABEL_DOT,
    LABEL_GAP,
    LABEL_COUNTER,
    N_LABELS
} Label;
extern const char *const label_names[N_LABELS];

typedef struct LabelCfg {
    char view[OPT_STR_CAP]; /* filters patterns */
    int64_t shifts, draws, seed;
    double least, gap;
} LabelCfg;
extern const OptRow label_options[];
extern const size_t label_n_options;

typedef struct ShapeMatch {
    double score;          /* |cosine| */
    int32_t which, dy, dx; /* template of the stroke bank, moved by */
} ShapeMatch;
/* Best match of every row of q f32 [n,height*width]; 0 for a row of zeros. */
bool shape_match(const Tensor *q, int64_t height, int64_t width, int64_t shifts,
                 ShapeMatch *out, Err *err);
typedef enum ShapeNull {
    NULL_ROUND, /* a smooth random field in a round window of q's centre and spread */
    NULL_ENVELOPE, /* the same under q's own envelope, root of 7 x 7 energy */
    NULL_SHUFFLED, /* q's pixels permuted among those with unlit 0 (NULL: all) */
} ShapeNull;
/* Draw k of a null of every row of q: f32, same shape, rows of unit norm. */
bool shape_null(const Tensor *q, int64_t height, int64_t width, int64_t seed, int64_t k,
                ShapeNull kind, const Tensor *unlit, Tensor *out, Err *err);

typedef struct PartLabel {
    Label label;
    ShapeMatch match;
    double null_mean, null_top, envelope_top; /* of the match, over its draws */
    bool shaped, lined;
    double own, other; /* ink per energy of its digit, of others; NaN: no images */
} PartLabel;
typedef struct LabelSummary { /* shares of displayed patterns */
    double shaped, lined;
    double shaped_null;     /* a further draw judged as a pattern is */
    double shaped_shuffled; /* the same of shuffled pixels */
    double gap, gap_null;   /* of patterns against; null: judged by other digits' ink */
    double match, match_null; /* means */
    int64_t count[N_LABELS];
} LabelSummary;
/* out [2 shown], as the rows of dict_patterns(). S f64 [I,I]: with view patterns a
 * filter and all its nulls are judged by what they respond to, S times them. ink f32 [C,I]: mean images of the
 * classes, NULL: no gaps. unlit f32 [I] or NULL. A head below 0 turns for and against. */
bool dict_labels(const Dictionary *d, const LabelCfg *cfg, const Tensor *S,
                 const Tensor *ink, const Tensor *unlit, int64_t height, int64_t width,
                 PartLabel *out, LabelSummary *sum, Err *err);
#endif
