/* dataset.h -- labelled images in memory. A Dataset owns a reference to its pixels, u8
 * [N,H,W] and never converted as a whole (they are scaled when a batch is gathered),
 * and to its labels, i32 [N] with values 0..n_classes-1. Images of several channels are
 * planes one below the other (H = channels * rows). Several labels of an example are one
 * number: digits whose bases are the heads, the first head first. dataset_done() drops both; a
 * failed function leaves its results zeroed. Nothing here is written after loading, so
 * data sets may share memory. */
#ifndef CLEAVE_DATA_DATASET_H
#define CLEAVE_DATA_DATASET_H
#include "tensor/tensor.h"

enum { DATASET_NAME_CAP = 64, DATASET_HEADS = 4, DATASET_HEAD_CAP = 16 };

typedef struct Dataset {
    char name[DATASET_NAME_CAP]; /* "mnist train" */
    Tensor images;               /* u8 [N,H,W] */
    Tensor labels;               /* i32 [N] */
    int64_t n;                   /* examples */
    int n_classes, height, width;
    int channels; /* 1; height is that of all together */
    int n_heads;  /* 0: one label; else the product of the heads is n_classes */
    int head[DATASET_HEADS];
    char head_name[DATASET_HEADS][DATASET_HEAD_CAP];
} Dataset;

void dataset_done(Dataset *d); /* NULL and zeroed are fine */
/* Retains both tensors and checks them: images u8 [N,H,W] contiguous, labels i32 [N] in
 * 0..n_classes-1 (n_classes 0: largest label + 1). */
bool dataset_make(const char *name, const Tensor *images, const Tensor *labels,
                  int n_classes, Dataset *out, Err *err);

/* The four files of an IDX folder by their usual names (train-images-idx3-ubyte and so
 * on, also with ".idx3", also with ".gz"). Both splits get the same n_classes. */
bool dataset_idx(const char *dir, Dataset *train, Dataset *test, Err *err);
/* The bundled MNIST: looked for beside the executable (../data/mnist, ../../data/mnist,
 * ../share/cleave/mnist), then in $CLEAVE_DATA and $CLEAVE_DATA/mnist. The CRC-32 of
 * each uncompressed file must be the known one; the error names the file that
 * differs. */
bool dataset_mnist(Dataset *train, Dataset *test, Err *err);
/* The folder dataset_mnist() would read. */
bool dataset_mnist_dir(char *dst, size_t cap, Err *err);
/* Makes d one of several channels and heads (n_heads 0: none); names may be NULL. */
bool dataset_layout(Dataset *d, int channels, int n_heads, const int *head,
                    const char *const *names, Err *err);

/* Examples start..stop-1, sharing memory. */
bool dataset_range(const Dataset *d, int64_t start, int64_t stop, Dataset *out,
                   Err *err);
/* Copies of the examples idx[0..n-1] (0-based, repeats allowed). */
bool dataset_subset(const Dataset *d, const int32_t *idx, int64_t n, Dataset *out,
                    Err *err);
/* Two disjoint parts that make up d: n_first examples drawn by the seed, and the rest,
 * each in d's order. */
bool dataset_split(const Dataset *d, int64_t n_first, uint64_t seed, Dataset *a,
                   Dataset *b, Err *err);

/* sigma f64 [D,D], D = H*W: the mean of x x^T over the examples, pixels in 0..1. Sums
 * are exact integers, so the bits are the same everywhere. Interruptible. */
bool dataset_second_moment(const Dataset *d, Tensor *sigma, Err *err);
#endif
