/* between.c -- the verdict on a metric. Everything is turned so that more is better
 * (a limit below the null flips the sign), then intervals are compared: a value whose
 * interval touches the null's is not told apart from chance, and no share is given. */
#include <math.h>

#include "figure/figure.h"

typedef struct Span {
    double lo, hi;
} Span;

static Span span(double v, double lo, double hi, double sign)
{
    double a = isfinite(lo) ? lo : v, b = isfinite(hi) ? hi : v;
    Span s = {sign > 0 ? a : -b, sign > 0 ? b : -a};
    s.lo = fmin(s.lo, sign * v);
    s.hi = fmax(s.hi, sign * v);
    return s;
}

Verdict between_verdict(const Between *b, double *share)
{
    *share = NAN;
    if (!isfinite(b->value) || !isfinite(b->null) || !isfinite(b->limit))
        return VERDICT_MISSING;
    double sign = b->limit < b->null ? -1 : 1;
    Span value = span(b->value, b->lo, b->hi, sign);
    Span null = span(b->null, b->null_lo, b->null_hi, sign);
    if (sign * b->limit <= null.hi)
        return VERDICT_NO_ROOM;
    if (value.lo <= null.hi && value.hi >= null.lo)
        return VERDICT_NULL;
    /* halved, so that no difference of finite numbers overflows */
    *share = (b->value / 2 - b->null / 2) / (b->limit / 2 - b->null / 2);
    if (value.hi < null.lo)
        return VERDICT_WORSE;
    return value.lo > sign * b->limit ? VERDICT_BEYOND : VERDICT_SHARE;
}

void between_words(const Between *b, Str *out)
{
    double share;
    switch (between_verdict(b, &share)) {
    case VERDICT_SHARE:
        str_addf(out, "%.1f %% of the way from null to limit", 100 * share);
        break;
    case VERDICT_NULL: str_add(out, "no verdict: inside the null band"); break;
    case VERDICT_NO_ROOM:
        str_add(out, "no verdict: the limit is inside the null band");
        break;
    case VERDICT_BEYOND:
        str_add(out, "beyond the limit: check the limit and the metric");
        break;
    case VERDICT_WORSE: str_add(out, "worse than the null"); break;
    case VERDICT_MISSING:
        str_add(out, "no verdict: a number is missing or infinite");
        break;
    }
}
