/* version.h -- the one place that holds the version. */
#ifndef CLEAVE_KERNEL_VERSION_H
#define CLEAVE_KERNEL_VERSION_H
#define CLEAVE_VERSION "0.1.0"
#endif
