// Assertions: for bugs only, never for input or the environment; always on.
#pragma once

#include <cstdio>
#include <cstdlib>

// Aborts with the condition and its place when `condition` is false.
#define KALAM_ASSERT(condition)                                                                     \
  do {                                                                                              \
    if (!(condition)) [[unlikely]] {                                                                \
      std::fprintf(stderr, "kalamdb: bug: %s is false at %s:%d\n", #condition, __FILE__, __LINE__); \
      std::abort();                                                                                 \
    }                                                                                               \
  } while (false)
