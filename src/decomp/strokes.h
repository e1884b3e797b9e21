/* strokes.h -- templates of pen strokes: short bars in four directions, long bars, half
 * circles and loops, blobs; the image spans [-1,1] both ways with y down. Each template
 * has its mean removed and unit norm (zero where an image is too small to show it).
 * Deterministic. */
#ifndef CLEAVE_DECOMP_STROKES_H
#define CLEAVE_DECOMP_STROKES_H
#include "tensor/tensor.h"

enum { STROKE_COUNT = 120 };

/* All templates, new f32 [STROKE_COUNT, height*width]: 80 bars (5x4 centres, angles 0,
 * 90, 45, -45 degrees), 4 long horizontal, 4 long vertical, 4 centres of 4 half circles
 * and a loop, 4x3 blobs. */
bool stroke_bank(int64_t height, int64_t width, Tensor *out, Err *err);
typedef enum StrokeKind { STROKE_BAR, STROKE_HOOK, STROKE_LOOP, STROKE_DOT } StrokeKind;
/* Of template k of the bank: bars, half circles, full circles, blobs. */
StrokeKind stroke_kind(int64_t k);
/* Anchors for R components, new f32 [2R, height*width]: row r for a, row R+r for b. The
 * first R/2 components pair templates by one rule and the rest by another (two banks),
 * such that no template repeats within 120 components of a column. */
bool stroke_anchors(int64_t R, int64_t height, int64_t width, Tensor *out, Err *err);
#endif
