/* idx.h -- the IDX array format of MNIST, plain or gzip-compressed (told apart by the
 * first two bytes). Big-endian u8 i8 i16 i32 f32 f64 with 1 to 6 dimensions; i8 and i16
 * become i32. The header's sizes are held against the bytes that are there before
 * anything is allocated (gzip cannot expand more than 1032 times), and exactly those
 * bytes must follow: short, long, corrupt or wrong-checksum files are errors
 * (ERR_FORMAT) that name the file. */
#ifndef CLEAVE_DATA_IDX_H
#define CLEAVE_DATA_IDX_H
#include <stdint.h>

#include "tensor/tensor.h"

bool idx_load(const char *path, Tensor *out, Err *err);
/* From memory; `name` is used in error sentences. */
bool idx_parse(const void *data, size_t n, const char *name, Tensor *out, Err *err);
/* The same, and the CRC-32 of the uncompressed bytes (crc may be NULL). */
bool idx_parse_crc(const void *data, size_t n, const char *name, Tensor *out,
                   uint32_t *crc, Err *err);
#endif
