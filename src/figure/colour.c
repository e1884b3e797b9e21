/* colour.c -- luminance weighs encoded values as ITU-R BT.601 has it. Quadrants try all
 * 8 splits of four pixels into two groups and keep the one with the least sum of
 * squared distances from the groups' means, as those of one channel do. */
#include "figure/colour.h"

#include <math.h>

static const double weight[3] = {0.299, 0.587, 0.114};

uint8_t colour_byte(bool is_signed, double t)
{
    if (is_signed && t < 0) /* the complement, to the last bit */
        return (uint8_t)(255 - colour_byte(true, -t));
    double v = is_signed ? 127.5 * (1 + t) : 255 * t;
    return (uint8_t)(v <= 0 ? 0 : v >= 255 ? 255 : v + 0.5);
}

void colour_rgb(bool is_signed, const double t[3], uint8_t rgb[3])
{
    for (int c = 0; c < 3; c++)
        rgb[c] = colour_byte(is_signed, t[c]);
}

bool colour_missing(const double t[3])
{
    return isnan(t[0]) || isnan(t[1]) || isnan(t[2]);
}

int32_t colour_of(Map m, const double t[3])
{
    uint8_t c[3];
    colour_rgb(m.is_signed, t, c);
    return grid_colour(GRID_RGB(c[0], c[1], c[2]), m.level);
}

static GridCell two_colours(uint32_t rune, int32_t fg, int32_t bg)
{
    if (rune == ' ' || fg == bg)
        return (GridCell){.rune = ' ', .fg = GRID_DEFAULT, .bg = bg};
    return (GridCell){.rune = rune, .fg = fg, .bg = bg};
}

GridCell colour_half(Map m, const double upper[3], const double *lower)
{
    if (colour_missing(upper) || (lower && colour_missing(lower)))
        return map_missing(m);
    if (!lower)
        return (GridCell){0x2580, colour_of(m, upper), GRID_DEFAULT, 0};
    return two_colours(0x2580, colour_of(m, upper), colour_of(m, lower));
}

/* Sum of squared distances from the mean of those of t[0..3] that `mask` picks. */
static double spread(double t[4][3], unsigned mask, double mean[3])
{
    double square = 0;
    for (int c = 0; c < 3; c++) {
        double sum = 0;
        int n = 0;
        for (int i = 0; i < 4; i++)
            if (mask >> i & 1) {
                sum += t[i][c];
                n++;
            }
        mean[c] = n > 0 ? sum / n : 0;
        for (int i = 0; i < 4; i++)
            if (mask >> i & 1)
                square += (t[i][c] - mean[c]) * (t[i][c] - mean[c]);
    }
    return square;
}

GridCell colour_quad(Map m, double t[4][3])
{
    static const uint16_t rune[8] = {' ',    0x2598, 0x259D, 0x2580,
                                     0x2596, 0x258C, 0x259E, 0x259B};
    double least = INFINITY, fg[3] = {0}, bg[3] = {0};
    unsigned best = 0;
    for (int i = 0; i < 4; i++)
        if (colour_missing(t[i]))
            return map_missing(m);
    for (unsigned mask = 0; mask < 8; mask++) { /* the last one is in the background */
        double a[3], b[3];
        double s = spread(t, mask, a) + spread(t, 15u & ~mask, b);
        if (s >= least)
            continue;
        least = s;
        best = mask;
        for (int c = 0; c < 3; c++) {
            fg[c] = a[c];
            bg[c] = b[c];
        }
    }
    return two_colours(rune[best], colour_of(m, fg), colour_of(m, bg));
}

/* The channels near the strongest one, as one of the first eight colours; that of all
 * three is the terminal's own ink. */
static int32_t hue(const double part[3], double most)
{
    uint8_t c[3];
    const double full[3] = {part[0] / most, part[1] / most, part[2] / most};
    colour_rgb(false, full, c);
    int32_t ink = grid_colour(GRID_RGB(c[0], c[1], c[2]), LEVEL_ANSI);
    return ink == 7 ? GRID_DEFAULT : ink;
}

GridCell colour_ascii(Map m, const double t[3], bool negative)
{
    double part[3], most = 0, luminance = 0;
    if (colour_missing(t))
        return map_missing(m);
    if (m.level >= LEVEL_256)
        return (GridCell){' ', GRID_DEFAULT, colour_of(m, t), 0};
    for (int c = 0; c < 3; c++) {
        part[c] = fmin(fmax(negative ? -t[c] : t[c], 0), 1);
        most = fmax(most, part[c]);
        luminance += weight[c] * part[c];
    }
    m.is_signed = false;
    GridCell cell = map_ascii(m, m.level == LEVEL_MONO ? luminance : most);
    if (cell.rune == ' ' || m.level == LEVEL_MONO)
        return cell;
    cell.fg = hue(part, most);
    if (cell.fg == 4 && !m.light) /* the plain blue is hard to see on black */
        cell.attr = CELL_BOLD;
    return cell;
}
