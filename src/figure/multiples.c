/* multiples.c -- see multiples.h. */
#include "figure/multiples.h"

#include <string.h>

#include "figure/diagram.h"

const Figure *multiples_common(const Figure *page)
{
    const Figure *best = page->n_parts > 0 ? page->parts[0] : NULL;
    for (int i = 1; i < page->n_parts; i++) {
        const Figure *f = page->parts[i];
        if (best->kind == FIG_PLOT && f->kind == FIG_PLOT &&
            f->n_series > best->n_series)
            best = f;
    }
    return best;
}

static bool same_series(const Figure *common, const Figure *f)
{
    for (int i = 0; i < f->n_series; i++) {
        const char *name = f->series[i].name;
        if (i >= common->n_series)
            return false;
        const Series *other = &common->series[i];
        if (name && (!other->name || strcmp(name, other->name) != 0 ||
                     other->mark != f->series[i].mark))
            return false;
    }
    return true;
}

bool multiples_told(const Figure *common, const Figure *f)
{
    if (!common || common->kind != f->kind)
        return false;
    if (f->kind == FIG_PLOT)
        return same_series(common, f);
    return (f->kind == FIG_HEAT || f->kind == FIG_DIAGRAM) && f->limit > 0 &&
           f->limit == common->limit && f->scale == SCALE_SHARED &&
           common->scale == SCALE_SHARED && f->is_signed == common->is_signed &&
           f->tone == common->tone;
}

bool multiples_facts(const Figure *page, const Figure *common, ImageFacts *sum,
                     Err *err)
{
    *sum = (ImageFacts){.limit = common->limit};
    for (int i = 0; i < page->n_parts; i++) {
        const Figure *f = page->parts[i];
        ImageFacts one;
        if (f->kind != FIG_HEAT || !multiples_told(common, f))
            continue;
        if (!sample_facts(f, &one, err))
            return false;
        sum->nans += one.nans;
        sum->infs += one.infs;
        sum->clipped += one.clipped;
        sum->below += one.below;
    }
    return true;
}

int multiples_weak(const Figure *page, const Figure *common)
{
    int n = 0;
    for (int i = 0; i < page->n_parts; i++)
        if (page->parts[i]->kind == FIG_DIAGRAM &&
            multiples_told(common, page->parts[i]))
            n += diagram_weak(page->parts[i], common->limit);
    return n;
}
