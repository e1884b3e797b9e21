/* spd_kern.c -- gates and masks. The gate network of a component is small and its
 * inner activations are never stored: tiles of rows are turned so that lanes are rows,
 * weights are scalars, and backward computes the activations again. Tiles are padded to
 * whole vectors, so a row's bits do not depend on where a cut falls. */
#include "graph/spd_kern.h"

#include "tensor/vmath.h"

enum { ROWS = 128, COLS = 16, PAD = 16 };

typedef real Tile[COLS][ROWS];

static int64_t padded(int64_t n)
{
    return (n + PAD - 1) / PAD * PAD;
}

/* Columns c0 .. c0+w-1 of n rows; the padding of a row is zero. */
static void gather(int64_t n, int64_t C, int64_t w, const real *x, Tile t)
{
    for (int64_t r = 0; r < n; r++)
        for (int64_t c = 0; c < w; c++)
            t[c][r] = x[r * C + c];
    for (int64_t c = 0; c < w; c++)
        for (int64_t r = n; r < padded(n); r++)
            t[c][r] = 0;
}

static void scatter(int64_t n, int64_t C, int64_t w, Tile t, real *x)
{
    for (int64_t r = 0; r < n; r++)
        for (int64_t c = 0; c < w; c++)
            x[r * C + c] = t[c][r];
}

/* ---- GELU ------------------------------------------------------------------------ */

/* With a = |u| and the normal tail T(a): u Phi(u) = max(u, 0) - a T(a), and its slope is
 * h = T(a) - a phi(a) for u < 0, 1 - h above. */
#ifdef KERN_F64
static inline real gelu_of(real u)
{
    real pdf;
    return u * v_normal_cdf(u, &pdf);
}

static inline real gelu_slope(real u, real *gelu)
{
    real pdf, cdf = v_normal_cdf(u, &pdf);
    *gelu = u * cdf;
    return cdf + u * pdf;
}
#else
/* T(a) = 2^Q(a) for 0 <= a <= 5.75 with Q by reweighted least squares (Lawson 1961):
 * a T is right to 4e-8, the slope to 1.2e-7. No division, one exponent. */
static inline real tail_of(real a)
{
    int32_t n;
    real q = -0x1.317672p-19f;
    q = q * a + 0x1.148e58p-15f;
    q = q * a - 0x1.49d668p-13f;
    q = q * a - 0x1.a8a0c2p-13f;
    q = q * a + 0x1.d41bfap-8f;
    q = q * a - 0x1.ae75dcp-5f;
    q = q * a - 0x1.d636b4p-2f;
    q = q * a - 0x1.26aef2p+0f;
    q = q * a - 0x1.fffffep-1f;
    real r = (q - v_nearest(q, &n)) * 0.693147181f;
    return (1 + (r + r * r * v_exp_poly(r))) * v_float((uint32_t)(n + 127) << 23);
}

static inline real gelu_of(real u)
{
    real a = v_abs(v_limit(u, 5.75f));
    return (u < 0 ? 0 : u) - a * tail_of(a); /* not v_positive(), which drops NaN */
}

static inline real gelu_slope(real u, real *gelu)
{
    real a = v_abs(v_limit(u, 5.75f)), t = tail_of(a), d = -0x1.a77610p-17f;
    d = d * a + 0x1.4f76eep-13f;
    d = d * a - 0x1.56f076p-11f;
    d = d * a - 0x1.6fe97ep-11f;
    d = d * a + 0x1.4477f8p-6f;
    d = d * a - 0x1.bf8f00p-4f;
    d = d * a - 0x1.45ed62p-1f;
    d = d * a - 0x1.988496p-1f; /* T' = d T = -phi */
    real h = t + a * d * t;
    *gelu = (u < 0 ? 0 : u) - a * t;
    return u < 0 ? h : 1 - h;
}
#endif

/* ---- gates ----------------------------------------------------------------------- */

static void gate_line(int64_t R, int64_t C, int64_t H, const real *theta, const real *a,
                      real *z)
{
    real out = theta[3 * H * C];
    for (int64_t r = 0; r < R; r++)
        z[r] = out;
    for (int64_t h = 0; h < H; h++) {
        real w = theta[h * C], b = theta[(H + h) * C], v = theta[(2 * H + h) * C];
#pragma omp simd
        for (int64_t r = 0; r < R; r++)
            z[r] += v * gelu_of(w * a[r] + b);
    }
}

static void KERN(gate)(int64_t n, int64_t C, int64_t H, const void *ap,
                       const void *thetap, void *zp)
{
    const real *a = ap, *theta = thetap;
    real *z = zp;
    _Alignas(64) Tile t, y;
    for (int64_t r = 0; r < n; r += ROWS)
        for (int64_t c = 0; c < C; c += COLS) {
            int64_t m = n - r < ROWS ? n - r : ROWS, w = C - c < COLS ? C - c : COLS;
            gather(m, C, w, a + r * C + c, t);
            for (int64_t k = 0; k < w; k++)
                gate_line(padded(m), C, H, theta + c + k, t[k], y[k]);
            scatter(m, C, w, y, z + r * C + c);
        }
}

/* The slopes of one component; sums are added to dtheta, or stored. */
static void gate_back(int64_t R, int64_t C, int64_t H, const real *theta, const real *a,
                      const real *dz, real *da, real *dtheta, int first)
{
    real whole = 0;
    for (int64_t r = 0; r < R; r++)
        da[r] = 0;
#pragma omp simd reduction(+ : whole)
    for (int64_t r = 0; r < R; r++)
        whole += dz[r];
    for (int64_t h = 0; h < H; h++) {
        real w = theta[h * C], b = theta[(H + h) * C], v = theta[(2 * H + h) * C];
        real dw = 0, db = 0, dv = 0;
#pragma omp simd reduction(+ : dw, db, dv)
        for (int64_t r = 0; r < R; r++) {
            real gelu, slope = gelu_slope(w * a[r] + b, &gelu);
            real du = dz[r] * v * slope;
            da[r] += du * w;
            dw += du * a[r];
            db += du;
            dv += dz[r] * gelu;
        }
        dtheta[h * C] = dw + (first ? 0 : dtheta[h * C]);
        dtheta[(H + h) * C] = db + (first ? 0 : dtheta[(H + h) * C]);
        dtheta[(2 * H + h) * C] = dv + (first ? 0 : dtheta[(2 * H + h) * C]);
    }
    dtheta[3 * H * C] = whole + (first ? 0 : dtheta[3 * H * C]);
}

static void KERN(gate_grad)(int64_t n, int64_t C, int64_t H, const void *ap,
                            const void *thetap, const void *dzp, void *dap,
                            void *dthetap, int first)
{
    const real *a = ap, *theta = thetap, *dz = dzp;
    real *da = dap, *dtheta = dthetap;
    _Alignas(64) Tile t, s, y;
    for (int64_t r = 0; r < n; r += ROWS)
        for (int64_t c = 0; c < C; c += COLS) {
            int64_t m = n - r < ROWS ? n - r : ROWS, w = C - c < COLS ? C - c : COLS;
            gather(m, C, w, a + r * C + c, t);
            gather(m, C, w, dz + r * C + c, s);
            for (int64_t k = 0; k < w; k++)
                gate_back(padded(m), C, H, theta + c + k, t[k], s[k], y[k],
                          dtheta + c + k, first && r == 0);
            scatter(m, C, w, y, da + r * C + c);
        }
}

/* ---- masks ----------------------------------------------------------------------- */

static void KERN(mask)(SpdMaskRow m, void *yp)
{
    const real *a = m.a, *g = m.g, *r = m.r;
    real *y = yp, q = (real)m.q, d = (real)m.d;
#pragma omp simd
    for (int64_t c = 0; c < m.n; c++)
        y[c] = a[c] * q * (g[c] + (1 - g[c]) * r[c] - d);
}

static void KERN(mask_grad)(SpdMaskRow m, const void *dyp, void *dap, void *dgp)
{
    const real *a = m.a, *g = m.g, *r = m.r, *dy = dyp;
    real *da = dap, *dg = dgp, q = (real)m.q, d = (real)m.d;
#pragma omp simd
    for (int64_t c = 0; c < m.n; c++) {
        real s = dy[c] * q;
        dg[c] = s * a[c] * (1 - r[c]);
        da[c] = s * (g[c] + (1 - g[c]) * r[c] - d);
    }
}

/* ---- squashings ------------------------------------------------------------------ */

/* Adding 0 turns -0 into 0. */
static inline real bend(real z, real low, real high)
{
    real y = (z < 0 ? low * z : z) + 0;
    return z > 1 ? 1 + high * (z - 1) : y;
}

static inline real slope(real z, real low, real high)
{
    real y = z < 0 ? low : 1;
    return z > 1 ? high : y;
}

static void KERN(leaky)(int64_t n, const void *zp, double low, double high, void *yp)
{
    const real *z = zp, l = (real)low, h = (real)high;
    real *y = yp;
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        y[i] = bend(z[i], l, h);
}

static void KERN(leaky_grad)(int64_t n, const void *zp, const void *dyp, double low,
                             double high, void *dzp)
{
    const real *z = zp, *dy = dyp, l = (real)low, h = (real)high;
    real *dz = dzp;
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        dz[i] = dy[i] * slope(z[i], l, h);
}

static void KERN(gated_grad)(int64_t n, const void *zp, const void *dyp, double leak,
                             void *dzp)
{
    const real *z = zp, *dy = dyp, k = (real)leak;
    real *dz = dzp;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        real open = dy[i] < 0 ? k * dy[i] : 0;
        real y = z[i] <= 0 ? open : dy[i];
        dz[i] = z[i] > 1 ? 0 : y;
    }
}

/* ---- powers ---------------------------------------------------------------------- */

/* x^p of x > 0. In single precision through exp and log: the sum over components does
 * not see their last bits. */
static inline real power_of(real x, real p)
{
    return v_exp(p * v_log(x));
}

static void KERN(power)(int64_t rows, int64_t C, const void *zp, SpdPower f,
                        double weight, double *sums)
{
    const real *z = zp, eps = (real)f.eps, high = (real)f.high, p = (real)f.p;
    for (int64_t r = 0; r < rows; r++, z += C) {
        if (f.p == 1) {
#pragma omp simd
            for (int64_t c = 0; c < C; c++)
                sums[c] += weight * (double)(bend(z[c], 0, high) + eps);
        } else if (f.p == 2) {
#pragma omp simd
            for (int64_t c = 0; c < C; c++) {
                real u = bend(z[c], 0, high) + eps;
                sums[c] += weight * (double)(u * u);
            }
        } else {
#pragma omp simd
            for (int64_t c = 0; c < C; c++)
                sums[c] += weight * (double)power_of(bend(z[c], 0, high) + eps, p);
        }
    }
}

static void KERN(power_grad)(int64_t rows, int64_t C, const void *zp, SpdPower f,
                             double weight, const void *dSp, void *dzp)
{
    const real *z = zp, *dS = dSp;
    real *dz = dzp, eps = (real)f.eps, high = (real)f.high, p = (real)f.p;
    real k = (real)(weight * f.p), least = (real)(f.p < 1 ? 1e-6 : 0);
    for (int64_t r = 0; r < rows; r++, z += C, dz += C) {
        if (f.p == 1) {
#pragma omp simd
            for (int64_t c = 0; c < C; c++)
                dz[c] = k * dS[c] * slope(z[c], 0, high);
        } else if (f.p == 2) {
#pragma omp simd
            for (int64_t c = 0; c < C; c++)
                dz[c] = k * dS[c] * (bend(z[c], 0, high) + eps) * slope(z[c], 0, high);
        } else {
#pragma omp simd
            for (int64_t c = 0; c < C; c++) {
                real u = bend(z[c], 0, high) + eps;
                u = u < least ? least : u;
                dz[c] = k * dS[c] * power_of(u, p - 1) * slope(z[c], 0, high);
            }
        }
    }
}

/* ---- small things ---------------------------------------------------------------- */

static void KERN(add)(int64_t n, const void *srcp, void *dstp)
{
    const real *src = srcp;
    real *dst = dstp;
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        dst[i] += src[i];
}

static void KERN(narrow)(int64_t n, const double *src, void *dstp)
{
    real *dst = dstp;
    for (int64_t i = 0; i < n; i++)
        dst[i] = (real)src[i];
}

static int64_t KERN(pack)(int64_t B, int64_t n, int64_t cap, const void *xp, void *yp)
{
    const real *x = xp;
    real *y = yp;
    int64_t live = 0;
    for (int64_t b = 0; b < B; b++, x += n) {
        real any = 0;
        for (int64_t i = 0; i < n; i++)
            any = x[i] != 0 ? 1 : any;
        if (any == 0)
            continue;
        if (live < cap)
            for (int64_t i = 0; i < n; i++)
                y[live * n + i] = x[i];
        live++;
    }
    for (int64_t i = live * n; i < cap * n; i++)
        y[i] = 0;
    return live;
}

const SpdTable KERN(spd_table) = {
    .gate = KERN(gate),
    .gate_grad = KERN(gate_grad),
    .mask = KERN(mask),
    .mask_grad = KERN(mask_grad),
    .power = KERN(power),
    .power_grad = KERN(power_grad),
    .leaky = KERN(leaky),
    .leaky_grad = KERN(leaky_grad),
    .gated_grad = KERN(gated_grad),
    .add = KERN(add),
    .narrow = KERN(narrow),
    .pack = KERN(pack),
};
