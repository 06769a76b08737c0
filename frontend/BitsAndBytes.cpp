// Weights in 4 bits, as bitsandbytes keeps them in a checkpoint.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "frontend/BitsAndBytes.h"

#include "weights/Json.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

using namespace moec::weights;

namespace moec::frontend {

static constexpr std::string_view nf4State = ".quant_state.bitsandbytes__nf4",
                                  fp4State = ".quant_state.bitsandbytes__fp4";
static constexpr std::string_view parts[] = {
    nf4State,     fp4State,         ".absmax",
    ".quant_map", ".nested_absmax", ".nested_quant_map"};

QuantizedTensors::QuantizedTensors(const std::vector<Shard> &shards) {
  bool isAny = false;
  for (const Shard &shard : shards)
    for (const TensorRecord &record : shard.file.tensors()) {
      tensors[record.name] = {&shard, &record};
      isAny |=
          record.name.ends_with(nf4State) || record.name.ends_with(fp4State);
    }
  if (!isAny)
    tensors.clear();
}

bool QuantizedTensors::isCodes(std::string_view tensor) const {
  std::string name(tensor);
  return tensors.contains(name + std::string(nf4State)) ||
         tensors.contains(name + std::string(fp4State));
}

std::string_view QuantizedTensors::weightOf(std::string_view tensor) const {
  for (std::string_view part : parts) {
    if (!tensor.ends_with(part))
      continue;
    std::string_view weight = tensor.substr(0, tensor.size() - part.size());
    if (isCodes(weight))
      return weight;
  }
  return {};
}

/// Reads one weight; keeps the first thing that is wrong.
class QuantizedTensors::Reader {
public:
  Reader(const QuantizedTensors &all, std::string_view weight)
      : all(all), weight(weight), codes(all.tensors.at(weight)),
        name(codes.shard->file.path() + ": tensor " + quote(weight)) {}

  Result<Nf4Tensor> read() {
    Nf4Tensor tensor;
    if (all.tensors.contains(std::string(weight) + std::string(fp4State)))
      fail("weights in nf4", "fp4");
    else
      readTensor(tensor);
    if (!message.empty())
      return Error{message};
    if (Status status = verifyNf4(name, tensor); !status)
      return Error{status.error()};
    return tensor;
  }

private:
  void fail(const std::string &expected, const std::string &found) {
    if (message.empty())
      message = name + ": expected " + expected + ", found " + found;
  }

  /// The bytes of a part, which has this type.
  std::span<const uint8_t> part(std::string_view suffix, ElementType type) {
    auto found = all.tensors.find(std::string(weight) + std::string(suffix));
    if (found == all.tensors.end()) {
      fail("a tensor " + quote(std::string(weight) + std::string(suffix)),
           "none");
      return {};
    }
    if (ElementType own = found->second.record->type; own != type) {
      fail(std::string(elementTypeName(type)) + " in " + quote(found->first),
           std::string(elementTypeName(own)));
      return {};
    }
    return found->second.bytes();
  }

  const JsonValue *member(std::string_view key) {
    const JsonValue *value = state.member(key);
    if (!value)
      fail("a key " + quote(key) + " of its quant_state", "none");
    return value;
  }

  int64_t integer(std::string_view key) {
    const JsonValue *value = member(key);
    if (value && value->kind != JsonValue::Kind::Integer)
      fail("an integer as " + quote(key), describe(*value));
    return value ? value->integer : 0;
  }

  /// A word that is one of these.
  size_t word(std::string_view key, std::vector<std::string_view> words) {
    const JsonValue *value = member(key);
    if (!value)
      return 0;
    auto known = std::find(words.begin(), words.end(), value->string);
    if (value->kind == JsonValue::Kind::String && known != words.end())
      return size_t(known - words.begin());
    std::string expected;
    for (std::string_view one : words)
      expected += (expected.empty() ? "" : " or ") + std::string(one);
    fail(expected + " as " + quote(key), describe(*value));
    return 0;
  }

  void readShape(Nf4Tensor &tensor) {
    const JsonValue *value = member("shape");
    if (!value)
      return;
    if (value->kind != JsonValue::Kind::Array)
      return fail("an array as 'shape'", describe(*value));
    for (const JsonValue &extent : value->items) {
      if (extent.kind != JsonValue::Kind::Integer || extent.integer < 1)
        return fail("positive integers in 'shape'", describe(extent));
      tensor.shape.push_back(extent.integer);
    }
  }

  void readNested(Nf4Tensor &tensor) {
    Nf4NestedScales nested;
    nested.codes = part(".absmax", ElementType::U8);
    nested.map = part(".nested_quant_map", ElementType::F32);
    nested.scales = part(".nested_absmax", ElementType::F32);
    nested.blockSize = integer("nested_blocksize");
    word("nested_dtype", {"float32"});
    if (const JsonValue *offset = member("nested_offset")) {
      bool isReal = offset->kind == JsonValue::Kind::Real;
      if (!isReal && offset->kind != JsonValue::Kind::Integer)
        return fail("a number as 'nested_offset'", describe(*offset));
      nested.offset = float(isReal ? offset->real : double(offset->integer));
      if (!std::isfinite(nested.offset))
        return fail("a number within F32 as 'nested_offset'",
                    describe(*offset));
    }
    tensor.nested = nested;
  }

  void checkMap() {
    std::span<const uint8_t> map = part(".quant_map", ElementType::F32);
    if (!message.empty())
      return;
    if (map.size() != sizeof nf4Values)
      return fail("16 values in 'quant_map'", std::to_string(map.size() / 4));
    if (std::memcmp(map.data(), nf4Values.data(), sizeof nf4Values) != 0)
      fail("the values of nf4 in 'quant_map'", "others");
  }

  void readTensor(Nf4Tensor &tensor) {
    std::span<const uint8_t> text = part(nf4State, ElementType::U8);
    if (!message.empty())
      return;
    Result<JsonValue> parsed =
        parseJson(name + ": quant_state",
                  {reinterpret_cast<const char *>(text.data()), text.size()},
                  {4096, 64, 3});
    if (!parsed) {
      message = parsed.error();
      return;
    }
    state = *std::move(parsed);
    word("quant_type", {"nf4"});
    tensor.type = std::array{
        ElementType::F32, ElementType::BF16,
        ElementType::F16}[word("dtype", {"float32", "bfloat16", "float16"})];
    tensor.blockSize = integer("blocksize");
    readShape(tensor);
    checkMap();
    if (codes.record->type != ElementType::U8)
      fail("codes in U8", std::string(elementTypeName(codes.record->type)));
    tensor.codes = codes.bytes();
    if (state.member("nested_blocksize"))
      readNested(tensor);
    else
      tensor.scales = part(".absmax", ElementType::F32);
  }

  const QuantizedTensors &all;
  std::string_view weight;
  Stored codes;
  std::string name;
  JsonValue state;
  std::string message;
};

Result<Nf4Tensor> QuantizedTensors::open(std::string_view tensor) const {
  return Reader(*this, tensor).read();
}

} // namespace moec::frontend
