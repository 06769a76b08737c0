// Kernels and layers composed from calls of a matrix library.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-bench/BlasContender.h"

#include "tools/moe-bench/WeightSet.h"

#include <algorithm>
#include <cmath>
#include <cstring>

using namespace moec::weights;

namespace moec::bench {

namespace {

// e^x by 2^n times a polynomial of degree 5: relative error 3e-6, and the
// compiler makes vectors of it, which it does not of the C library's.
inline __attribute__((always_inline)) float quickExp(float x) {
  x = std::min(std::max(x, -87.0f), 87.0f);
  float n = std::floor(x * 1.44269504f + 0.5f);
  float r = x - n * 0.693145752f - n * 1.42860677e-6f;
  float p = 8.3333333e-3f;
  p = p * r + 4.1666667e-2f;
  p = p * r + 1.6666667e-1f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  int32_t bits = (int32_t(n) + 127) << 23;
  float power;
  std::memcpy(&power, &bits, sizeof power);
  return p * power;
}

inline __attribute__((always_inline)) void
activateBody(const float *gate, const float *up, float weight, int64_t count,
             float *h, float *sum) {
  for (int64_t i = 0; i < count; ++i) {
    float value = weight * gate[i] * up[i] / (1.0f + quickExp(-gate[i]));
    h[i] = value;
    sum[i] += value;
  }
}

void plainActivate(const float *gate, const float *up, float weight,
                   int64_t count, float *h, float *sum) {
  activateBody(gate, up, weight, count, h, sum);
}

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) void
avx2Activate(const float *gate, const float *up, float weight, int64_t count,
             float *h, float *sum) {
  activateBody(gate, up, weight, count, h, sum);
}
#endif

/// h = weight silu(gate) up, added to sum too.
void activate(const float *gate, const float *up, float weight, int64_t count,
              float *h, float *sum) {
#if defined(__x86_64__)
  static const bool hasVectors =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (hasVectors)
    return avx2Activate(gate, up, weight, count, h, sum);
#endif
  plainActivate(gate, up, weight, count, h, sum);
}

/// Shared by kernels and layers: weights and results.
class BlasContender : public Contender {
public:
  BlasContender(const Problem &problem, const ContenderSpec &spec,
                const Blas &blas)
      : Contender(problem, spec), blas(blas) {}

  std::span<const float> output() const override { return result; }
  void setCopies(size_t count) override { weights.setCopies(count); }
  size_t copies() const override { return weights.copies(); }
  uint64_t bytes() const override { return weights.bytes(); }

protected:
  static WeightTensor tensor(std::string name, std::vector<int64_t> shape) {
    return {std::move(name), "codes", {kDLFloat, 32, 1}, std::move(shape), 0};
  }
  float *at(size_t index, size_t copy) const {
    return reinterpret_cast<float *>(
        weights.data(index, copy % weights.copies()));
  }
  /// A part of a matrix whose rows are `stride` apart.
  static std::vector<float> cut(const float *from, int64_t rows,
                                int64_t columns, int64_t stride) {
    std::vector<float> values;
    for (int64_t row = 0; row < rows; ++row)
      values.insert(values.end(), from + row * stride,
                    from + row * stride + columns);
    return values;
  }

  Blas blas;
  WeightSet weights;
  const Inputs *inputs = nullptr;
  std::vector<float> result;
};

class BlasKernel : public BlasContender {
public:
  BlasKernel(const Problem &problem, const ContenderSpec &spec,
             const Blas &blas)
      : BlasContender(problem, spec, blas) {
    std::vector<WeightTensor> wanted = {
        tensor("w", {problem.width, problem.inner})};
    if (spec.compressed) {
      wanted.push_back(tensor("w_a", {problem.width, problem.rank}));
      wanted.push_back(tensor("w_b", {problem.rank, problem.inner}));
    }
    weights.make(std::move(wanted), 7);
  }

  Status prepare(const Inputs &given) override {
    inputs = &given;
    result.assign(size_t(given.tokens * problem.inner), 0);
    narrow.assign(size_t(given.tokens * problem.rank), 0);
    return success();
  }

  Status run(size_t, size_t copy) override {
    int64_t m = inputs->tokens, n = problem.inner, k = problem.width,
            r = problem.rank;
    const float *x = inputs->x.data();
    blas.multiply(m, n, k, x, k, at(0, copy), n, 0, result.data(), n);
    if (spec.compressed) {
      blas.multiply(m, r, k, x, k, at(1, copy), r, 0, narrow.data(), r);
      blas.multiply(m, n, r, narrow.data(), r, at(2, copy), n, 1, result.data(),
                    n);
    }
    return success();
  }

  Result<std::vector<float>> matrix(const std::string &name, int64_t,
                                    int64_t rows,
                                    int64_t columns) const override {
    size_t index = name == "w" ? 0 : name == "w_a" ? 1 : 2;
    return cut(at(index, 0), rows, columns, columns);
  }

private:
  std::vector<float> narrow;
};

/// Tokens by group: rows of group g are order[begin[g]] .. order[begin[g + 1]].
struct Groups {
  std::vector<int64_t> begin, order;

  void sort(std::span<const int64_t> groups, int64_t count) {
    begin.assign(size_t(count) + 1, 0);
    for (int64_t group : groups)
      ++begin[size_t(group) + 1];
    for (size_t g = 0; g < size_t(count); ++g)
      begin[g + 1] += begin[g];
    order.resize(groups.size());
    std::vector<int64_t> next(begin.begin(), begin.end() - 1);
    for (size_t i = 0; i < groups.size(); ++i)
      order[size_t(next[size_t(groups[i])]++)] = int64_t(i);
  }
  int64_t size(int64_t g) const {
    return begin[size_t(g) + 1] - begin[size_t(g)];
  }
  const int64_t *rows(int64_t g) const {
    return &order[size_t(begin[size_t(g)])];
  }
};

class BlasLayer : public BlasContender {
public:
  BlasLayer(const Problem &problem, const ContenderSpec &spec, const Blas &blas)
      : BlasContender(problem, spec, blas), d(problem.width), f(problem.inner),
        r(problem.rank), members(problem.experts / problem.clusters) {
    if (!spec.compressed) {
      gateUpWidth = 2 * f;
      weights.make({tensor("gate_up", {problem.experts, d, gateUpWidth}),
                    tensor("down", {problem.experts, f, d})},
                   7);
      return;
    }
    gateUpWidth = 2 * f + 2 * members * r;
    downRows = f + members * r;
    weights.make({tensor("gate_up", {problem.clusters, d, gateUpWidth}),
                  tensor("down", {problem.clusters, downRows, d}),
                  tensor("a", {problem.experts, d, 2 * r}),
                  tensor("b", {problem.experts, r, 2 * f}),
                  tensor("down_a", {problem.experts, f, r})},
                 7);
    // A stands twice: beside the base for many rows, alone for few.
    for (int64_t e = 0; e < problem.experts; ++e)
      for (int64_t row = 0; row < d; ++row)
        for (int64_t half = 0; half < 2; ++half)
          std::copy_n(at(0, 0) + placeOfA(e, half) + row * gateUpWidth, r,
                      at(2, 0) + (e * d + row) * 2 * r + half * r);
  }

  Status prepare(const Inputs &given) override {
    inputs = &given;
    int64_t t = given.tokens, pairs = t * problem.k;
    result.assign(size_t(t * d), 0);
    x.assign(size_t(t * d), 0);
    y.assign(size_t(t * gateUpWidth), 0);
    gate.assign(size_t(pairs * f), 0);
    up = h = gate;
    sums.assign(size_t(t * std::max(downRows, f)), 0);
    out = x;
    shrunk.assign(size_t(pairs * 2 * r), 0);
    v.assign(size_t(pairs * r), 0);
    return success();
  }

  Status run(size_t routing, size_t copy) override {
    Choices choices =
        choose(problem, spec, inputs->logits[routing % inputs->logits.size()]);
    std::fill(result.begin(), result.end(), 0.0f);
    if (spec.compressed)
      runCompressed(choices, copy);
    else
      runUncompressed(choices, copy);
    return success();
  }

  Result<std::vector<float>> matrix(const std::string &name, int64_t entry,
                                    int64_t rows,
                                    int64_t columns) const override {
    const float *gateUp = at(0, 0), *down = at(1, 0);
    if (name == "gate" || name == "gate_base")
      return cut(gateUp + entry * d * gateUpWidth, rows, columns, gateUpWidth);
    if (name == "up" || name == "up_base")
      return cut(gateUp + entry * d * gateUpWidth + f, rows, columns,
                 gateUpWidth);
    if (name == "down")
      return cut(down + entry * f * d, rows, columns, d);
    if (name == "down_base")
      return cut(down + entry * downRows * d, rows, columns, d);
    if (name == "gate_a" || name == "up_a")
      return cut(gateUp + placeOfA(entry, name == "up_a"), rows, columns,
                 gateUpWidth);
    if (name == "gate_b" || name == "up_b")
      return cut(at(3, 0) + entry * r * 2 * f + (name == "up_b" ? f : 0), rows,
                 columns, 2 * f);
    if (name == "down_a")
      return cut(at(4, 0) + entry * f * r, rows, columns, r);
    return cut(down + (clusterOf(entry, problem) * downRows + f +
                       placeInCluster(entry) * r) *
                          d,
               rows, columns, d);
  }

private:
  int64_t placeInCluster(int64_t expert) const {
    return expert / problem.clusters;
  }
  int64_t placeOfA(int64_t expert, int64_t half) const {
    return clusterOf(expert, problem) * d * gateUpWidth + 2 * f +
           (half * members + placeInCluster(expert)) * r;
  }

  void runUncompressed(const Choices &choices, size_t copy) {
    std::vector<int64_t> experts(choices.experts.begin(),
                                 choices.experts.end());
    byExpert.sort(experts, problem.experts);
    for (int64_t e = 0; e < problem.experts; ++e) {
      int64_t m = byExpert.size(e);
      if (m == 0)
        continue;
      const int64_t *pairs = byExpert.rows(e);
      for (int64_t i = 0; i < m; ++i)
        std::copy_n(&inputs->x[size_t(pairs[i] / problem.k * d)], d,
                    &x[size_t(i * d)]);
      blas.multiply(m, 2 * f, d, x.data(), d, at(0, copy) + e * d * gateUpWidth,
                    gateUpWidth, 0, y.data(), 2 * f);
      for (int64_t i = 0; i < m; ++i) {
        std::fill_n(sums.data(), f, 0.0f);
        activate(&y[size_t(i * 2 * f)], &y[size_t(i * 2 * f + f)],
                 float(choices.weights[size_t(pairs[i])]), f, &h[size_t(i * f)],
                 sums.data());
      }
      blas.multiply(m, d, f, h.data(), f, at(1, copy) + e * f * d, d, 0,
                    out.data(), d);
      for (int64_t i = 0; i < m; ++i)
        addRow(pairs[i] / problem.k, &out[size_t(i * d)]);
    }
  }

  void runCompressed(const Choices &choices, size_t copy) {
    // Rows: each token once for each cluster it meets.
    std::vector<int64_t> rowToken, rowCluster, pairRow(choices.experts.size());
    for (int64_t t = 0; t < inputs->tokens; ++t) {
      size_t first = rowToken.size();
      for (int64_t j = 0; j < problem.k; ++j) {
        size_t pair = size_t(t * problem.k + j);
        int64_t cluster = clusterOf(choices.experts[pair], problem);
        size_t row = first;
        while (row < rowToken.size() && rowCluster[row] != cluster)
          ++row;
        if (row == rowToken.size()) {
          rowToken.push_back(t);
          rowCluster.push_back(cluster);
        }
        pairRow[pair] = int64_t(row);
      }
    }
    byCluster.sort(rowCluster, problem.clusters);
    std::vector<int64_t> experts(choices.experts.begin(),
                                 choices.experts.end());
    byExpert.sort(experts, problem.experts);
    std::vector<int64_t> place(rowToken.size());
    for (int64_t c = 0; c < problem.clusters; ++c) {
      int64_t m = byCluster.size(c);
      if (m == 0)
        continue;
      const int64_t *rows = byCluster.rows(c);
      for (int64_t i = 0; i < m; ++i) {
        place[size_t(rows[i])] = i;
        std::copy_n(&inputs->x[size_t(rowToken[size_t(rows[i])] * d)], d,
                    &x[size_t(i * d)]);
      }
      // The factors A of all members cost less than their own calls, from some
      // rows on.
      bool isSparse = m <= 2;
      int64_t width = isSparse ? 2 * f : gateUpWidth;
      blas.multiply(m, width, d, x.data(), d, at(0, copy) + c * d * gateUpWidth,
                    gateUpWidth, 0, y.data(), width);
      std::fill_n(sums.data(), m * downRows, 0.0f);
      for (int64_t member = 0; member < members; ++member)
        runMember(choices, pairRow, place, c, member, isSparse, width, copy);
      blas.multiply(m, d, downRows, sums.data(), downRows,
                    at(1, copy) + c * downRows * d, d, 0, out.data(), d);
      for (int64_t i = 0; i < m; ++i)
        addRow(rowToken[size_t(rows[i])], &out[size_t(i * d)]);
    }
  }

  /// One expert's rows of the present cluster.
  void runMember(const Choices &choices, std::span<const int64_t> pairRow,
                 std::span<const int64_t> place, int64_t cluster,
                 int64_t member, bool isSparse, int64_t width, size_t copy) {
    int64_t e = member * problem.clusters + cluster, count = byExpert.size(e);
    if (count == 0)
      return;
    const int64_t *pairs = byExpert.rows(e);
    auto rowOf = [&](int64_t i) {
      return place[size_t(pairRow[size_t(pairs[i])])];
    };
    for (int64_t i = 0; i < count; ++i) {
      const float *row = &y[size_t(rowOf(i) * width)];
      std::copy_n(row, f, &gate[size_t(i * f)]);
      std::copy_n(row + f, f, &up[size_t(i * f)]);
      float *own = &shrunk[size_t(i * 2 * r)];
      if (isSparse) {
        blas.multiply(1, 2 * r, d, &x[size_t(rowOf(i) * d)], d,
                      at(2, copy) + e * d * 2 * r, 2 * r, 0, own, 2 * r);
      } else {
        std::copy_n(row + 2 * f + member * r, r, own);
        std::copy_n(row + 2 * f + (members + member) * r, r, own + r);
      }
    }
    const float *b = at(3, copy) + e * r * 2 * f;
    blas.multiply(count, f, r, shrunk.data(), 2 * r, b, 2 * f, 1, gate.data(),
                  f);
    blas.multiply(count, f, r, shrunk.data() + r, 2 * r, b + f, 2 * f, 1,
                  up.data(), f);
    for (int64_t i = 0; i < count; ++i)
      activate(&gate[size_t(i * f)], &up[size_t(i * f)],
               float(choices.weights[size_t(pairs[i])]), f, &h[size_t(i * f)],
               &sums[size_t(rowOf(i) * downRows)]);
    blas.multiply(count, r, f, h.data(), f, at(4, copy) + e * f * r, r, 0,
                  v.data(), r);
    for (int64_t i = 0; i < count; ++i)
      std::copy_n(&v[size_t(i * r)], r,
                  &sums[size_t(rowOf(i) * downRows + f + member * r)]);
  }

  void addRow(int64_t token, const float *row) {
    float *sum = &result[size_t(token * d)];
    for (int64_t i = 0; i < d; ++i)
      sum[i] += row[i];
  }

  int64_t d, f, r, members;
  int64_t gateUpWidth = 0, downRows = 0;
  Groups byExpert, byCluster;
  std::vector<float> x, y, gate, up, h, sums, out, shrunk, v;
};

} // namespace

std::unique_ptr<Contender> makeBlasContender(const Problem &problem,
                                             const ContenderSpec &spec,
                                             const Blas &blas) {
  if (problem.kind == Kind::Kernel)
    return std::make_unique<BlasKernel>(problem, spec, blas);
  return std::make_unique<BlasLayer>(problem, spec, blas);
}

} // namespace moec::bench
