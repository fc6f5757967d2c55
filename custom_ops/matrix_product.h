// Matrix products in float32 that stay in a processor's registers and caches, for what lies between other loops: no
// packing, no threads of their own.
#ifndef MASKRCNN_MATRIX_PRODUCT_H_
#define MASKRCNN_MATRIX_PRODUCT_H_

#include <cstdint>

#include "processors.h"

namespace maskrcnn {

constexpr int kLanes = 16;           // columns side by side
constexpr int64_t kMostRows = 12;  // a multiple of the rows that any processor takes at once

// A matrix whose rows start `step` floats apart.
template <typename Float>
struct Rows {
  Float* values;
  int64_t step;

  MASKRCNN_INLINE Float* At(int64_t row, int64_t column) const { return values + row * step + column; }
};

// What is done to a product before it is stored; what is null is not.
struct Finish {
  const float* bias = nullptr;                // [columns], added
  Rows<const float> residual = {nullptr, 0};  // [rows, columns], added
  bool relu = false;                          // what is negative becomes zero

  MASKRCNN_INLINE Finish At(int64_t row, int64_t column) const {
    return {bias == nullptr ? nullptr : bias + column,
            {residual.values == nullptr ? nullptr : residual.At(row, column), residual.step},
            relu};
  }
};

// left is [rows, inner]; right is [columns / kLanes, inner, kLanes]; product becomes [rows, columns]. Columns are a
// multiple of kLanes; the rows that are left of a multiple of kMostRows take longer.
typedef void (*ProductFunction)(Rows<const float> left, int64_t rows, int64_t inner, const float* right,
                                int64_t columns, const Finish& finish, Rows<float> product);

// left is [count, rows], right is [count, columns]; sums, [rows, columns], grow by the transposed left times right. Rows
// and columns are multiples of kLanes.
typedef void (*OuterFunction)(Rows<const float> left, int64_t rows, Rows<const float> right, int64_t columns,
                              int64_t count, float* sums);

namespace matrix_product {

// As many floats as one register has.
template <int kWidth>
struct Register {
  typedef float Type __attribute__((vector_size(kWidth * sizeof(float)), aligned(sizeof(float)), may_alias));
};

// What a block fetches into the caches while it is multiplied: the columns behind its own, and the rows behind its own.
struct Ahead {
  bool columns, rows;
};

// kRows rows of a product, and kPanels times kLanes of its columns.
template <int kWidth, int kRows, int kPanels>
MASKRCNN_INLINE void Block(Ahead ahead, Rows<const float> left, int64_t inner, const float* right,
                           const Finish& finish, Rows<float> product) {
  typedef typename Register<kWidth>::Type Values;
  constexpr int kEach = kLanes / kWidth, kRegisters = kPanels * kEach;
  // where the result goes, and what is added to it, may be in none of the caches
#pragma GCC unroll 16
  for (int m = 0; m < kRows; ++m) {
#pragma GCC unroll 8
    for (int n = 0; n < kPanels; ++n) {
      if (finish.residual.values != nullptr) __builtin_prefetch(finish.residual.At(m, n * kLanes));
      __builtin_prefetch(product.At(m, n * kLanes), 1);
    }
  }
  Values sums[kRows][kRegisters] = {};
  for (int64_t k = 0; k < inner; ++k) {
    Values values[kRegisters];
#pragma GCC unroll 8
    for (int n = 0; n < kRegisters; ++n) {
      const float* panel = right + n / kEach * inner * kLanes + n % kEach * kWidth;
      values[n] = *reinterpret_cast<const Values*>(panel + k * kLanes);
    }
    if (ahead.columns) {
#pragma GCC unroll 8
      for (int n = 0; n < kPanels; ++n) __builtin_prefetch(right + ((kPanels + n) * inner + k) * kLanes);
    }
    if (ahead.rows) __builtin_prefetch(left.At(kRows, 0) + k * kRows);
#pragma GCC unroll 16
    for (int m = 0; m < kRows; ++m) {
      const float factor = *left.At(m, k);
#pragma GCC unroll 8
      for (int n = 0; n < kRegisters; ++n) sums[m][n] += factor * values[n];
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < kRows; ++m) {
#pragma GCC unroll 8
    for (int n = 0; n < kRegisters; ++n) {
      Values sum = sums[m][n];
      if (finish.bias != nullptr) sum += *reinterpret_cast<const Values*>(finish.bias + n * kWidth);
      if (finish.residual.values != nullptr) sum += *reinterpret_cast<const Values*>(finish.residual.At(m, n * kWidth));
      if (finish.relu) sum = sum < 0 ? Values{} : sum;
      *reinterpret_cast<Values*>(product.At(m, n * kWidth)) = sum;
    }
  }
}

// All rows of kPanels times kLanes columns; `first` says whether they are the first.
template <int kWidth, int kRows, int kPanels>
MASKRCNN_INLINE void Panels(bool first, Rows<const float> left, int64_t rows, int64_t inner, const float* right,
                            const Finish& finish, Rows<float> product) {
  int64_t m = 0;
  for (; m + kRows <= rows; m += kRows) {
    Block<kWidth, kRows, kPanels>({m == 0, first}, {left.At(m, 0), left.step}, inner, right, finish.At(m, 0),
                                  {product.At(m, 0), product.step});
  }
  for (; m < rows; ++m) {
    Block<kWidth, 1, kPanels>({false, false}, {left.At(m, 0), left.step}, inner, right, finish.At(m, 0),
                              {product.At(m, 0), product.step});
  }
}

template <int kWidth, int kRows, int kPanels>
MASKRCNN_INLINE void Product(Rows<const float> left, int64_t rows, int64_t inner, const float* right, int64_t columns,
                             const Finish& finish, Rows<float> product) {
  int64_t n = 0;
  for (; n + kPanels * kLanes <= columns; n += kPanels * kLanes) {
    Panels<kWidth, kRows, kPanels>(n == 0, left, rows, inner, right + n * inner, finish.At(0, n), {product.At(0, n), product.step});
  }
  for (; n < columns; n += kLanes) {
    Panels<kWidth, kRows, 1>(n == 0, left, rows, inner, right + n * inner, finish.At(0, n), {product.At(0, n), product.step});
  }
}

// kRows rows of sums of outer products, and kRegisters times kWidth of their columns.
template <int kWidth, int kRows, int kRegisters>
MASKRCNN_INLINE void OuterBlock(Rows<const float> left, Rows<const float> right, int64_t count, Rows<float> sums) {
  typedef typename Register<kWidth>::Type Values;
  Values total[kRows][kRegisters];
#pragma GCC unroll 16
  for (int m = 0; m < kRows; ++m) {
#pragma GCC unroll 8
    for (int n = 0; n < kRegisters; ++n) total[m][n] = *reinterpret_cast<const Values*>(sums.At(m, n * kWidth));
  }
  for (int64_t k = 0; k < count; ++k) {
    Values values[kRegisters];
#pragma GCC unroll 8
    for (int n = 0; n < kRegisters; ++n) values[n] = *reinterpret_cast<const Values*>(right.At(k, n * kWidth));
#pragma GCC unroll 16
    for (int m = 0; m < kRows; ++m) {
      const float factor = *left.At(k, m);
#pragma GCC unroll 8
      for (int n = 0; n < kRegisters; ++n) total[m][n] += factor * values[n];
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < kRows; ++m) {
#pragma GCC unroll 8
    for (int n = 0; n < kRegisters; ++n) *reinterpret_cast<Values*>(sums.At(m, n * kWidth)) = total[m][n];
  }
}

template <int kWidth, int kRows, int kRegisters>
MASKRCNN_INLINE void Outer(Rows<const float> left, int64_t rows, Rows<const float> right, int64_t columns,
                           int64_t count, float* sums) {
  constexpr int kColumns = kRegisters * kWidth;
  const Rows<float> all = {sums, columns};
  int64_t n = 0;
  for (; n + kColumns <= columns; n += kColumns) {
    for (int64_t m = 0; m < rows; m += kRows) {
      OuterBlock<kWidth, kRows, kRegisters>({left.At(0, m), left.step}, {right.At(0, n), right.step}, count,
                                            {all.At(m, n), columns});
    }
  }
  for (; n < columns; n += kWidth) {
    for (int64_t m = 0; m < rows; m += kRows) {
      OuterBlock<kWidth, kRows, 1>({left.At(0, m), left.step}, {right.At(0, n), right.step}, count,
                                   {all.At(m, n), columns});
    }
  }
}

MASKRCNN_TARGET("avx512f")
inline void ProductOf16Floats(Rows<const float> left, int64_t rows, int64_t inner, const float* right, int64_t columns,
                              const Finish& finish, Rows<float> product) {
  Product<16, 12, 2>(left, rows, inner, right, columns, finish, product);
}

MASKRCNN_TARGET("avx512f")
inline void OuterOf16Floats(Rows<const float> left, int64_t rows, Rows<const float> right, int64_t columns, int64_t count,
                            float* sums) {
  Outer<16, 8, 2>(left, rows, right, columns, count, sums);
}

MASKRCNN_TARGET("avx2,fma")
inline void ProductOf8Floats(Rows<const float> left, int64_t rows, int64_t inner, const float* right, int64_t columns,
                              const Finish& finish, Rows<float> product) {
  Product<8, 6, 1>(left, rows, inner, right, columns, finish, product);
}

MASKRCNN_TARGET("avx2,fma")
inline void OuterOf8Floats(Rows<const float> left, int64_t rows, Rows<const float> right, int64_t columns, int64_t count,
                            float* sums) {
  Outer<8, 4, 2>(left, rows, right, columns, count, sums);
}

inline void ProductOf4Floats(Rows<const float> left, int64_t rows, int64_t inner, const float* right, int64_t columns,
                              const Finish& finish, Rows<float> product) {
  Product<4, 2, 1>(left, rows, inner, right, columns, finish, product);
}

inline void OuterOf4Floats(Rows<const float> left, int64_t rows, Rows<const float> right, int64_t columns, int64_t count,
                            float* sums) {
  Outer<4, 2, 2>(left, rows, right, columns, count, sums);
}

}  // namespace matrix_product

struct Products {
  ProductFunction product;
  OuterFunction outer;
};

// The ones for this processor.
inline Products FastestProducts() {
  using namespace matrix_product;
  const int width = FloatsInRegister();
  if (width == 16) return {&ProductOf16Floats, &OuterOf16Floats};
  if (width == 8) return {&ProductOf8Floats, &OuterOf8Floats};
  return {&ProductOf4Floats, &OuterOf4Floats};
}

}  // namespace maskrcnn

#endif  // MASKRCNN_MATRIX_PRODUCT_H_
