// What plans of weights need to know of a machine: rates, memory, links.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/TargetDescription.h"

#include "weights/File.h"
#include "weights/Json.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>

namespace moec::weights {

namespace {

//===----------------------------------------------------------------------===//
// Built in
//===----------------------------------------------------------------------===//

struct BuiltIn {
  std::string_view name;
  std::string_view text;
};

// Rates of one core: bench/RESULTS.md. Decoding int4 is what its ratios at 1
// and 8 tokens leave beside memory and arithmetic, and so are products of int8
// (docs/precision.md). DDR5:
// about 20 pJ/bit of the whole channel; a core: watts over rate.
constexpr BuiltIn builtIns[] = {
    {"x86-64-core", R"({
  "name": "x86-64-core",
  "source": "one core with AVX-512, rates measured in bench/RESULTS.md; energy and capacity are estimates",
  "operands": "f32",
  "arithmetic": {
    "f32": {"flops_per_second": 190e9, "joules_per_flop": 25e-12},
    "int8": {"flops_per_second": 270e9, "joules_per_flop": 18e-12}},
  "decode": {"int4": 34e9, "f8e4m3": 10e9},
  "memory": [
    {"name": "dram", "bytes": 64e9, "bytes_per_second": 17e9, "joules_per_byte": 160e-12},
    {"name": "nvme", "bytes": 2e12, "bytes_per_second": 7e9, "joules_per_byte": 1e-9}],
  "links": [{"name": "pcie", "from": "nvme", "to": "dram", "bytes_per_second": 7e9, "joules_per_byte": 50e-12, "latency_seconds": 80e-6}]
})"},
    // NVIDIA A100 80GB SXM data sheet: 2039 GB/s, 312 TFLOP/s bf16 and f16, 624
    // TOP/s int8 (dense), 19.5 TFLOP/s f32, NVLink 600 and PCIe 4 64 GB/s, both
    // directions together. Arithmetic energy: 400 W over the rate, an upper
    // bound.
    {"a100", R"({
  "name": "a100",
  "source": "data sheet of A100 80GB SXM, dense rates, not measured; energy of arithmetic is board power over rate, of HBM2 3.9 pJ/bit",
  "operands": "bf16",
  "arithmetic": {
    "f32": {"flops_per_second": 19.5e12, "joules_per_flop": 20e-12},
    "bf16": {"flops_per_second": 312e12, "joules_per_flop": 1.3e-12},
    "f16": {"flops_per_second": 312e12, "joules_per_flop": 1.3e-12},
    "int8": {"flops_per_second": 624e12, "joules_per_flop": 0.65e-12}},
  "memory": [
    {"name": "hbm", "bytes": 80e9, "bytes_per_second": 2.039e12, "joules_per_byte": 31e-12},
    {"name": "dram", "bytes": 512e9, "bytes_per_second": 200e9, "joules_per_byte": 160e-12}],
  "links": [
    {"name": "pcie", "from": "dram", "to": "hbm", "bytes_per_second": 32e9, "joules_per_byte": 50e-12, "latency_seconds": 2e-6},
    {"name": "nvlink", "from": "hbm", "to": "peer", "bytes_per_second": 300e9, "joules_per_byte": 10e-12, "latency_seconds": 2e-6}]
})"},
    // NVIDIA H200 SXM data sheet: 141 GB at 4.8 TB/s, 989 TFLOP/s bf16 and f16,
    // 1979 fp8 and int8 (dense), 67 f32, NVLink 900 and PCIe 5 128 GB/s, both
    // directions together. Arithmetic energy: 700 W over the rate, an upper
    // bound.
    {"h200", R"({
  "name": "h200",
  "source": "data sheet of H200 SXM, dense rates, not measured; energy of arithmetic is board power over rate, of HBM3 3.9 pJ/bit",
  "operands": "bf16",
  "arithmetic": {
    "f32": {"flops_per_second": 67e12, "joules_per_flop": 10e-12},
    "bf16": {"flops_per_second": 989e12, "joules_per_flop": 0.7e-12},
    "f16": {"flops_per_second": 989e12, "joules_per_flop": 0.7e-12},
    "f8e4m3": {"flops_per_second": 1979e12, "joules_per_flop": 0.35e-12},
    "int8": {"flops_per_second": 1979e12, "joules_per_flop": 0.35e-12}},
  "memory": [
    {"name": "hbm", "bytes": 141e9, "bytes_per_second": 4.8e12, "joules_per_byte": 31e-12},
    {"name": "dram", "bytes": 1e12, "bytes_per_second": 400e9, "joules_per_byte": 160e-12},
    {"name": "nvme", "bytes": 8e12, "bytes_per_second": 7e9, "joules_per_byte": 1e-9}],
  "links": [
    {"name": "pcie", "from": "dram", "to": "hbm", "bytes_per_second": 64e9, "joules_per_byte": 50e-12, "latency_seconds": 2e-6},
    {"name": "storage", "from": "nvme", "to": "dram", "bytes_per_second": 7e9, "joules_per_byte": 50e-12, "latency_seconds": 80e-6},
    {"name": "nvlink", "from": "hbm", "to": "peer", "bytes_per_second": 450e9, "joules_per_byte": 10e-12, "latency_seconds": 2e-6}]
})"},
    // LPDDR5X of 64 bits at 8533 MT/s; UFS 4.0 reads 4.2 GB/s; the rest is of
    // the right size, and of no one device.
    {"mobile", R"({
  "name": "mobile",
  "source": "no one device: LPDDR5X-8533 of 64 bits, UFS 4.0, arithmetic of four big Arm cores; not measured",
  "operands": "f32",
  "arithmetic": {
    "f32": {"flops_per_second": 200e9, "joules_per_flop": 10e-12},
    "f16": {"flops_per_second": 400e9, "joules_per_flop": 5e-12},
    "int8": {"flops_per_second": 1.6e12, "joules_per_flop": 1.5e-12}},
  "decode": {"int4": 60e9},
  "memory": [
    {"name": "lpddr", "bytes": 12e9, "bytes_per_second": 68e9, "joules_per_byte": 40e-12},
    {"name": "ufs", "bytes": 512e9, "bytes_per_second": 4.2e9, "joules_per_byte": 500e-12}],
  "links": [{"name": "ufs", "from": "ufs", "to": "lpddr", "bytes_per_second": 4.2e9, "joules_per_byte": 50e-12, "latency_seconds": 150e-6}]
})"}};

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

/// Takes values out of an object; keeps the first thing that is wrong.
class Reader {
public:
  explicit Reader(std::string name) : name(std::move(name)) {}

  const std::string &problem() const { return message; }

  void fail(const std::string &where, const std::string &expected,
            const std::string &found) {
    if (message.empty())
      message =
          name + ": " + where + ": expected " + expected + ", found " + found;
  }

  /// Whether `value` is an object of these keys alone, with the first `needed`
  /// of them.
  bool object(const std::string &where, const JsonValue &value,
              std::initializer_list<std::string_view> keys, size_t needed) {
    if (value.kind != JsonValue::Kind::Object) {
      fail(where, "an object", describe(value));
      return false;
    }
    for (const std::string &key : value.keys)
      if (std::find(keys.begin(), keys.end(), key) == keys.end())
        fail(where, "known keys", quote(key));
    for (std::string_view key : keys) {
      if (needed-- == 0)
        break;
      if (!value.member(key))
        fail(where, "a key '" + std::string(key) + "'", "none");
    }
    return message.empty();
  }

  std::string text(const std::string &where, const JsonValue *value) {
    if (!value)
      return "";
    if (value->kind != JsonValue::Kind::String || value->string.empty() ||
        value->string.size() > 300)
      fail(where, "a text of at most 300 bytes", describe(*value));
    return value->string;
  }

  /// A rate, size or energy; `absent` where there is none.
  double number(const std::string &where, const JsonValue *value,
                double absent = 0) {
    if (!value)
      return absent;
    double number = value->kind == JsonValue::Kind::Integer
                        ? double(value->integer)
                        : value->real;
    bool isNumber = value->kind == JsonValue::Kind::Integer ||
                    value->kind == JsonValue::Kind::Real;
    if (!isNumber || !std::isfinite(number) || number <= 0)
      fail(where, "a positive number", describe(*value));
    return number;
  }

  bool flag(const std::string &where, const JsonValue *value) {
    if (value && value->kind != JsonValue::Kind::Boolean)
      fail(where, "true or false", describe(*value));
    return value && value->boolean;
  }

  Format format(const std::string &where, const std::string &word) {
    std::optional<Format> found = formatFromName(word);
    if (!found)
      fail(where, "a format such as bf16 or int8", quote(word));
    return found.value_or(Format::F32);
  }

  /// Whether `value` is an array of at most `most` items.
  bool array(const std::string &where, const JsonValue *value, size_t most) {
    if (!value)
      return false;
    if (value->kind != JsonValue::Kind::Array)
      fail(where, "an array", describe(*value));
    else if (value->items.size() > most)
      fail(where, "at most " + std::to_string(most) + " items",
           std::to_string(value->items.size()));
    return message.empty();
  }

private:
  std::string name;
  std::string message;
};

void readArithmetic(Reader &reader, const JsonValue &value,
                    TargetDescription &target) {
  if (value.kind != JsonValue::Kind::Object || value.items.empty())
    return reader.fail("arithmetic", "an object of rates", describe(value));
  for (size_t i = 0; i < value.items.size(); ++i) {
    std::string where = "arithmetic of " + quote(value.keys[i]);
    const JsonValue &item = value.items[i];
    Format format = reader.format("arithmetic", value.keys[i]);
    if (!reader.object(where, item, {"flops_per_second", "joules_per_flop"}, 1))
      return;
    target.arithmetic[format] = {
        reader.number(where, item.member("flops_per_second")),
        reader.number(where, item.member("joules_per_flop"))};
  }
}

void readDecode(Reader &reader, const JsonValue *value,
                TargetDescription &target) {
  if (!value)
    return;
  if (value->kind != JsonValue::Kind::Object)
    return reader.fail("decode", "an object of rates", describe(*value));
  for (size_t i = 0; i < value->items.size(); ++i)
    target.decode[reader.format("decode", value->keys[i])] =
        reader.number("decode of " + quote(value->keys[i]), &value->items[i]);
}

void readMemory(Reader &reader, const JsonValue *value,
                TargetDescription &target) {
  if (!reader.array("memory", value, targetMaxTiers))
    return;
  for (const JsonValue &item : value->items) {
    std::string where = "tier " + std::to_string(target.memory.size());
    if (!reader.object(where, item,
                       {"name", "bytes", "bytes_per_second", "joules_per_byte",
                        "near_memory_compute"},
                       3))
      return;
    MemoryTier tier;
    tier.name = reader.text(where, item.member("name"));
    tier.bytes = reader.number(where, item.member("bytes"));
    tier.bytesPerSecond = reader.number(where, item.member("bytes_per_second"));
    tier.joulesPerByte = reader.number(where, item.member("joules_per_byte"));
    tier.nearMemoryCompute =
        reader.flag(where, item.member("near_memory_compute"));
    if (target.tier(tier.name) || tier.name == "peer")
      reader.fail(where, "a name of its own that is not 'peer'",
                  quote(tier.name));
    target.memory.push_back(std::move(tier));
  }
  if (target.memory.empty())
    reader.fail("memory", "at least one tier", "none");
}

void readLinks(Reader &reader, const JsonValue *value,
               TargetDescription &target) {
  if (!reader.array("links", value, targetMaxLinks))
    return;
  for (const JsonValue &item : value->items) {
    std::string where = "link " + std::to_string(target.links.size());
    if (!reader.object(where, item,
                       {"name", "from", "to", "bytes_per_second",
                        "joules_per_byte", "latency_seconds"},
                       4))
      return;
    MemoryLink link;
    link.name = reader.text(where, item.member("name"));
    link.from = reader.text(where, item.member("from"));
    link.to = reader.text(where, item.member("to"));
    link.bytesPerSecond = reader.number(where, item.member("bytes_per_second"));
    link.joulesPerByte = reader.number(where, item.member("joules_per_byte"));
    link.latencySeconds = reader.number(where, item.member("latency_seconds"));
    for (const std::string &end : {link.from, link.to})
      if (!target.tier(end) && end != "peer")
        reader.fail(where, "a tier of 'memory' or 'peer'", quote(end));
    target.links.push_back(std::move(link));
  }
}

} // namespace

const MemoryTier *TargetDescription::tier(std::string_view wanted) const {
  for (const MemoryTier &tier : memory)
    if (tier.name == wanted)
      return &tier;
  return nullptr;
}

Result<TargetDescription> targetFromText(const std::string &name,
                                         std::string_view text) {
  Result<JsonValue> root = parseJson(name, text, {targetMaxBytes, 1 << 12, 4});
  if (!root)
    return Error{root.error()};
  Reader reader(name);
  TargetDescription target;
  if (!reader.object("target", *root,
                     {"name", "operands", "arithmetic", "memory", "source",
                      "decode", "links"},
                     4))
    return Error{reader.problem()};
  target.name = reader.text("name", root->member("name"));
  target.source = reader.text("source", root->member("source"));
  target.operands = reader.format(
      "operands", reader.text("operands", root->member("operands")));
  readArithmetic(reader, *root->member("arithmetic"), target);
  readDecode(reader, root->member("decode"), target);
  readMemory(reader, root->member("memory"), target);
  readLinks(reader, root->member("links"), target);
  if (!target.arithmetic.contains(target.operands))
    reader.fail("operands", "a type of 'arithmetic'",
                std::string(formatName(target.operands)));
  if (!reader.problem().empty())
    return Error{reader.problem()};
  return target;
}

Status roundRows(TargetDescription &target, Format rows) {
  if (target.arithmetic.contains(rows)) {
    target.rounded = rows;
    return success();
  }
  std::string known;
  for (const auto &[format, rate] : target.arithmetic)
    known += (known.empty() ? "" : ", ") + std::string(formatName(format));
  return Error{"target " + target.name + ": expected arithmetic of " +
               std::string(formatName(rows)) + ", found that of " + known};
}

Result<TargetDescription> readTarget(const std::string &path) {
  Result<MappedFile> file = MappedFile::open(path);
  if (!file)
    return Error{file.error()};
  std::span<const uint8_t> bytes = file->bytes();
  return targetFromText(
      path, {reinterpret_cast<const char *>(bytes.data()), bytes.size()});
}

std::vector<std::string_view> builtInTargets() {
  std::vector<std::string_view> names;
  for (const BuiltIn &target : builtIns)
    names.push_back(target.name);
  return names;
}

std::string_view builtInTargetText(std::string_view name) {
  for (const BuiltIn &target : builtIns)
    if (target.name == name)
      return target.text;
  return {};
}

Result<TargetDescription> findTarget(const std::string &nameOrPath) {
  std::string_view text = builtInTargetText(nameOrPath);
  return text.empty() ? readTarget(nameOrPath)
                      : targetFromText(nameOrPath, text);
}

} // namespace moec::weights
