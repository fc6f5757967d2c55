// One library for every x86 processor: a function so marked has a version for each generation of them, and the one that
// fits is chosen when the library is loaded.
#ifndef MASKRCNN_PROCESSORS_H_
#define MASKRCNN_PROCESSORS_H_

#if defined(__x86_64__) && defined(__GLIBC__) && (defined(__clang__) ? __clang_major__ >= 14 : __GNUC__ >= 9)
#define MASKRCNN_EVERY_PROCESSOR __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define MASKRCNN_EVERY_PROCESSOR
#endif

#endif  // MASKRCNN_PROCESSORS_H_
