/* diagram.h -- inside the folder: where the nodes of a diagram stand, and its edges in
 * the order of drawing, weak ones first. The largest column takes the whole height, and
 * the nodes of the others stand in the middle of equal shares of it. */
#ifndef CLEAVE_FIGURE_DIAGRAM_H
#define CLEAVE_FIGURE_DIAGRAM_H
#include "figure/figure.h"

typedef struct Diagram {
    const Figure *f;
    const Edge **order; /* [n] rising |weight|; freed by the caller */
    int n, weak;        /* edges that can be drawn; of these too weak to draw */
    double limit;       /* the figure's, else the largest |weight|; 0: no edges */
} Diagram;

bool diagram_sort(const Figure *f, Diagram *d, Err *err);
/* How many edges are too weak to draw on the scale of this limit. */
int diagram_weak(const Figure *f, double limit);
/* A node's place: x from the left and y from below, 0..1 each. */
void diagram_at(const Figure *f, int node, double *x, double *y);
#endif
