/* map.c -- the 24-bit maps are nine stops a side in equal steps, made in OKLab
 * (Ottosson 2020) at constant hue (25 and 257 degrees) with the same lightness and
 * chroma on both sides, as far as the sRGB gamut allows. The 256-colour ramps avoid
 * entries 0..15, which users change. The ink of the characters " :+xo8@" rises
 * monotonically in the usual terminal fonts. */
#include "figure/map.h"

#include <math.h>
#include <string.h>

enum { STOPS = 9, STEPS = 7, INKS = 7, GREY_256 = 244, GREY_RGB = 128 };
#define DEAD_BAND 0.07

typedef uint8_t Stops[STOPS][3];

static const Stops red[2] = {
    {{0, 0, 0}, {50, 0, 3}, {90, 7, 12}, {133, 20, 26}, {179, 34, 40},
     {205, 76, 72}, {230, 110, 104}, {246, 161, 153}, {254, 210, 205}},
    {{250, 250, 250}, {250, 220, 217}, {248, 190, 184}, {244, 160, 153},
     {237, 128, 121}, {218, 96, 91}, {197, 62, 61}, {170, 32, 38}, {138, 3, 20}},
};
static const Stops blue[2] = {
    {{0, 0, 0}, {0, 20, 54}, {1, 43, 97}, {1, 68, 145}, {2, 94, 196},
     {51, 123, 221}, {88, 153, 243}, {144, 189, 252}, {203, 224, 254}},
    {{250, 250, 250}, {214, 230, 251}, {179, 209, 251}, {143, 188, 250},
     {107, 166, 248}, {74, 140, 231}, {35, 114, 215}, {0, 89, 187}, {0, 68, 146}},
};

/* [light][0: zero, 1..7: weak to strong] */
static const uint8_t red_256[2][STEPS + 1] = {
    {16, 52, 88, 124, 160, 167, 210, 217},
    {231, 224, 217, 210, 167, 160, 124, 88},
};
static const uint8_t blue_256[2][STEPS + 1] = {
    {16, 18, 19, 25, 27, 69, 111, 153},
    {231, 189, 153, 111, 69, 27, 25, 19},
};

static const char ink[INKS + 1] = " :+xo8@";

const char *map_ink(void)
{
    return ink + 1;
}

const char *tone_name(Tone t)
{
    static const char *const names[TONES] = {"grey", "red", "blue"};
    return names[t];
}

/* t of an unsigned map with a tone, as the signed map has it; of shades, as grey on
 * black. */
static double toned(Map *m, double t)
{
    if (m->tone == TONE_SHADES) {
        t = m->is_signed ? (1 + t) / 2 : t;
        m->is_signed = m->light = false;
        return t;
    }
    if (m->is_signed || m->tone == TONE_GREY)
        return t;
    m->is_signed = true;
    return !(t > 0) ? t - t : m->tone == TONE_BLUE ? -t : t; /* NaN stays */
}

static double magnitude(double t)
{
    double a = fabs(t);
    return a > 1 ? 1 : a;
}

/* Grey of an unsigned value: background to ink, in 26 steps of the palette or 256. */
static int grey_256(bool light, double t)
{
    int step = (int)(25 * (light ? 1 - t : t) + 0.5);
    return step == 0 ? 16 : step == 25 ? 231 : 231 + step;
}

static int step_256(double a)
{
    int step = (int)((a - DEAD_BAND) / (1 - DEAD_BAND) * STEPS);
    return a < DEAD_BAND ? 0 : step >= STEPS ? STEPS : step + 1;
}

void map_rgb(Map m, double t, uint8_t rgb[3])
{
    t = toned(&m, t);
    double a = magnitude(t), x = a * (STOPS - 1);
    if (isnan(t)) {
        memset(rgb, GREY_RGB, 3);
        return;
    }
    if (!m.is_signed) {
        double v = t > 0 ? a : 0;
        memset(rgb, (int)(255 * (m.light ? 1 - v : v) + 0.5), 3);
        return;
    }
    int i = x >= STOPS - 1 ? STOPS - 2 : (int)x;
    const uint8_t(*stop)[3] = t < 0 ? blue[m.light] : red[m.light];
    for (int c = 0; c < 3; c++)
        rgb[c] = (uint8_t)(stop[i][c] + (x - i) * (stop[i + 1][c] - stop[i][c]) + 0.5);
}

int32_t map_colour(Map m, double t)
{
    uint8_t rgb[3];
    if (m.level == LEVEL_TRUE) {
        map_rgb(m, t, rgb);
        return GRID_RGB(rgb[0], rgb[1], rgb[2]);
    }
    if (isnan(t))
        return GREY_256;
    t = toned(&m, t);
    if (!m.is_signed)
        return grey_256(m.light, t > 0 ? magnitude(t) : 0);
    const uint8_t *ramp = t < 0 ? blue_256[m.light] : red_256[m.light];
    return ramp[step_256(magnitude(t))];
}

GridCell map_missing(Map m)
{
    GridCell c = {.rune = '?', .fg = GRID_DEFAULT, .bg = GRID_DEFAULT};
    if (m.level == LEVEL_256) {
        c.fg = 16;
        c.bg = GREY_256;
    } else if (m.level == LEVEL_TRUE) {
        c.fg = GRID_RGB(0, 0, 0);
        c.bg = GRID_RGB(GREY_RGB, GREY_RGB, GREY_RGB);
    }
    return c;
}

GridCell map_ascii(Map m, double t)
{
    GridCell c = {.rune = ' ', .fg = GRID_DEFAULT, .bg = GRID_DEFAULT};
    if (isnan(t))
        return map_missing(m);
    t = toned(&m, t);
    double a = m.is_signed || t > 0 ? magnitude(t) : 0;
    int step = a < DEAD_BAND ? 0 : (int)(pow(a, 0.7) * INKS);
    step = step >= INKS ? INKS - 1 : step;
    c.rune = (unsigned char)ink[step];
    if (step == 0 || m.level == LEVEL_MONO || !m.is_signed)
        return c;
    c.attr = step >= INKS - 2 ? CELL_BOLD : 0;
    if (m.level == LEVEL_ANSI)
        c.fg = t > 0 ? 1 : m.light ? 4 : 6; /* blue is hard to see on black */
    else /* the ink says how much; a weak colour as well would make it vanish */
        c.fg = map_colour(m, t > 0 ? fmax(a, 0.65) : -fmax(a, 0.65));
    return c;
}

/* ---- series ---- */

static const uint8_t on_paper[MAP_SERIES][3] = {
    {0, 114, 178},  {213, 94, 0},  {0, 158, 115}, {204, 121, 167},
    {86, 180, 233}, {230, 159, 0}, {90, 90, 90},  {150, 140, 0},
};
static const uint8_t on_dark[MAP_SERIES][3] = {
    {86, 180, 233}, {230, 159, 0}, {0, 190, 140}, {224, 141, 187},
    {240, 120, 40}, {240, 228, 66}, {190, 190, 190}, {90, 140, 230},
};
static const uint8_t series_256[2][MAP_SERIES] = {
    {74, 214, 36, 175, 208, 227, 250, 68},
    {25, 166, 29, 169, 74, 172, 240, 100},
};
static const uint8_t tint_256[2][MAP_SERIES] = {
    {17, 58, 22, 53, 52, 58, 237, 17},
    {189, 223, 194, 225, 195, 229, 253, 230},
};
static const uint8_t series_8[2][MAP_SERIES] = {
    {6, 3, 2, 5, 1, 7, 4, 7},
    {4, 1, 2, 5, 6, 3, 0, 3},
};

void map_series_rgb(int i, uint8_t rgb[3])
{
    memcpy(rgb, on_paper[i % MAP_SERIES], 3);
}

char map_series_mark(int i)
{
    static const char marks[MAP_SERIES + 1] = "ox+*#%@&";
    return marks[i % MAP_SERIES];
}

int32_t map_series(Map m, int i)
{
    const uint8_t *c = (m.light ? on_paper : on_dark)[i % MAP_SERIES];
    switch (m.level) {
    case LEVEL_MONO:
        return GRID_DEFAULT;
    case LEVEL_ANSI:
        return series_8[m.light][i % MAP_SERIES];
    case LEVEL_256:
        return series_256[m.light][i % MAP_SERIES];
    case LEVEL_TRUE:
        break;
    }
    return GRID_RGB(c[0], c[1], c[2]);
}

/* A quarter of the colour over the background. */
int32_t map_tint(Map m, int i)
{
    const uint8_t *c = (m.light ? on_paper : on_dark)[i % MAP_SERIES];
    int back = m.light ? 255 : 0, t[3];
    if (m.level < LEVEL_256)
        return GRID_DEFAULT;
    if (m.level == LEVEL_256)
        return tint_256[m.light][i % MAP_SERIES];
    for (int k = 0; k < 3; k++)
        t[k] = (3 * back + c[k]) / 4;
    return GRID_RGB(t[0], t[1], t[2]);
}

int32_t map_sign(Map m, double v)
{
    if (!(v < 0 || v > 0) || m.level == LEVEL_MONO)
        return GRID_DEFAULT;
    if (m.level == LEVEL_ANSI)
        return v > 0 ? 1 : m.light ? 4 : 6;
    m.is_signed = true;
    return map_colour(m, v > 0 ? 0.65 : -0.65);
}
