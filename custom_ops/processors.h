// One library for every x86 processor: a function so marked, which each source file has of its own, has a version for
// each generation of them, and the one that fits is chosen when the library is loaded.
#ifndef MASKRCNN_PROCESSORS_H_
#define MASKRCNN_PROCESSORS_H_

#if defined(__x86_64__) && defined(__GLIBC__) && (defined(__clang__) ? __clang_major__ >= 14 : __GNUC__ >= 9)
#define MASKRCNN_EVERY_PROCESSOR static __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define MASKRCNN_EVERY_PROCESSOR static
#endif

// The same for functions of vectors, which compilers take apart before they make versions: one is written for each
// processor, and a function chooses among them.
#if defined(__x86_64__)
#define MASKRCNN_TARGET(features) __attribute__((target(features)))
#else
#define MASKRCNN_TARGET(features)
#endif

// For what functions with such versions are made of, which are compiled anew in each of them.
#define MASKRCNN_INLINE inline __attribute__((always_inline))

namespace maskrcnn {

// What the functions for "avx512f", "avx2,fma" and any processor work on at once.
inline int FloatsInRegister() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f")) return 16;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 8;
#endif
  return 4;
}

}  // namespace maskrcnn

#endif  // MASKRCNN_PROCESSORS_H_
