// Products of small matrices of floats.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_PTXEMULATOR_MATRIXPRODUCT_H
#define MOEC_TOOLS_PTXEMULATOR_MATRIXPRODUCT_H

namespace moec::ptx {

/// d[m][n] += sum over k of a[m][k] * b[k][n], row-major. Each element is added
/// to in the order of k.
void addProduct(float *d, const float *a, const float *b, unsigned m,
                unsigned n, unsigned k);

} // namespace moec::ptx

#endif // MOEC_TOOLS_PTXEMULATOR_MATRIXPRODUCT_H
