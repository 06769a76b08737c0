// The read-only registers that say where a thread is.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/SpecialRegisters.h"

namespace moec::ptx {

namespace {

uint64_t linear(const Extent &at, const Extent &extent) {
  return at[0] + uint64_t(extent[0]) * (at[1] + uint64_t(extent[1]) * at[2]);
}

uint32_t laneOf(const ThreadPlace &place) {
  return linear(place.thread, place.block) % warpSize;
}

Extent clusterOf(const ThreadPlace &place) {
  return {place.cta[0] / place.cluster[0], place.cta[1] / place.cluster[1],
          place.cta[2] / place.cluster[2]};
}

Extent clustersOf(const ThreadPlace &place) {
  return {place.grid[0] / place.cluster[0], place.grid[1] / place.cluster[1],
          place.grid[2] / place.cluster[2]};
}

Extent placeInCluster(const ThreadPlace &place) {
  return {place.cta[0] % place.cluster[0], place.cta[1] % place.cluster[1],
          place.cta[2] % place.cluster[2]};
}

using P = const ThreadPlace &;

/// Registers with .x, .y and .z.
struct VectorRow {
  std::string_view name;
  Extent (*value)(P);
};
constexpr VectorRow vectors[] = {
    {"%tid", [](P p) { return p.thread; }},
    {"%ntid", [](P p) { return p.block; }},
    {"%ctaid", [](P p) { return p.cta; }},
    {"%nctaid", [](P p) { return p.grid; }},
    {"%clusterid", [](P p) { return clusterOf(p); }},
    {"%nclusterid", [](P p) { return clustersOf(p); }},
    {"%cluster_ctaid", [](P p) { return placeInCluster(p); }},
    {"%cluster_nctaid", [](P p) { return p.cluster; }},
};

struct ScalarRow {
  std::string_view name;
  Type type;
  uint64_t (*value)(P);
};
constexpr ScalarRow scalars[] = {
    {"%laneid", Type::U32, [](P p) { return uint64_t(laneOf(p)); }},
    {"%warpid", Type::U32,
     [](P p) { return linear(p.thread, p.block) / warpSize; }},
    {"%nwarpid", Type::U32,
     [](P p) { return (volume(p.block) + warpSize - 1) / warpSize; }},
    {"%smid", Type::U32, [](P p) { return linear(p.cta, p.grid) % 4; }},
    {"%nsmid", Type::U32, [](P) { return uint64_t(4); }},
    {"%gridid", Type::U64, [](P) { return uint64_t(1); }},
    {"%lanemask_eq", Type::U32, [](P p) { return uint64_t(1) << laneOf(p); }},
    {"%lanemask_lt", Type::U32,
     [](P p) { return (uint64_t(1) << laneOf(p)) - 1; }},
    {"%lanemask_le", Type::U32,
     [](P p) { return (uint64_t(2) << laneOf(p)) - 1; }},
    {"%lanemask_ge", Type::U32,
     [](P p) { return uint64_t(~uint32_t((uint64_t(1) << laneOf(p)) - 1)); }},
    {"%lanemask_gt", Type::U32,
     [](P p) { return uint64_t(~uint32_t((uint64_t(2) << laneOf(p)) - 1)); }},
    {"%cluster_ctarank", Type::U32,
     [](P p) { return linear(placeInCluster(p), p.cluster); }},
    {"%cluster_nctarank", Type::U32, [](P p) { return volume(p.cluster); }},
    {"%is_explicit_cluster", Type::Pred,
     [](P p) { return uint64_t(volume(p.cluster) > 1); }},
    {"%dynamic_smem_size", Type::U32,
     [](P p) { return uint64_t(p.dynamicSharedBytes); }},
    {"%total_smem_size", Type::U32,
     [](P p) { return uint64_t(p.totalSharedBytes); }},
};

struct ClockRow {
  std::string_view name;
  Type type;
};
constexpr ClockRow clocks[] = {{"%clock", Type::U32},
                               {"%clock64", Type::U64},
                               {"%globaltimer", Type::U64},
                               {"%globaltimer_lo", Type::U32}};

/// The row of "%tid.x" and the coordinate it means; null if there is none.
const VectorRow *findVector(std::string_view name, unsigned &coordinate) {
  if (name.size() < 3 || name[name.size() - 2] != '.')
    return nullptr;
  coordinate = static_cast<unsigned>(name.back() - 'x');
  if (coordinate > 2)
    return nullptr;
  for (const VectorRow &row : vectors)
    if (row.name == name.substr(0, name.size() - 2))
      return &row;
  return nullptr;
}

} // namespace

std::optional<Type> specialRegisterType(std::string_view name) {
  unsigned coordinate = 0;
  if (findVector(name, coordinate))
    return Type::U32;
  for (const ScalarRow &row : scalars)
    if (row.name == name)
      return row.type;
  for (const ClockRow &row : clocks)
    if (row.name == name)
      return row.type;
  return std::nullopt;
}

bool isClock(std::string_view name) {
  for (const ClockRow &row : clocks)
    if (row.name == name)
      return true;
  return false;
}

uint64_t specialRegisterValue(std::string_view name, const ThreadPlace &place) {
  unsigned coordinate = 0;
  if (const VectorRow *row = findVector(name, coordinate))
    return row->value(place)[coordinate];
  for (const ScalarRow &row : scalars)
    if (row.name == name)
      return row.value(place);
  return 0;
}

} // namespace moec::ptx
