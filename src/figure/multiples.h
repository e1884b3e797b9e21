/* multiples.h -- inside the folder: what tiles of small multiples have in common and
 * is told once, below them. `common` is the part whose legend or scale that is; a tile
 * that is not like it tells its own. */
#ifndef CLEAVE_FIGURE_MULTIPLES_H
#define CLEAVE_FIGURE_MULTIPLES_H
#include "figure/sample.h"

/* Of plots the one with the most series, else the first part; NULL: no parts. */
const Figure *multiples_common(const Figure *page);
/* Whether what is told of `common` (NULL: nothing is) holds for f: its series begin as
 * those of common do, or it has the same limit that was given, sign and tone. */
bool multiples_told(const Figure *common, const Figure *f);
/* Of all heat maps that this holds for: the limit, and their oddities added up. */
bool multiples_facts(const Figure *page, const Figure *common, ImageFacts *sum,
                     Err *err);
/* Edges of all such diagrams that are too weak to draw. */
int multiples_weak(const Figure *page, const Figure *common);
#endif
