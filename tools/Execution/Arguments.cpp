// The arguments of a run: shapes, and values from files or seeds.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/Execution/Arguments.h"

#include "weights/FloatFormats.h"
#include "weights/Npy.h"
#include "weights/Safetensors.h"
#include "weights/Seeded.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <span>

using namespace moec::weights;

namespace moec::run {

namespace {

template <typename T> void store(uint8_t *place, T value) {
  std::memcpy(place, &value, sizeof value);
}

void setSeeded(Tensor &tensor, uint32_t seed, int64_t intRange) {
  uint8_t *data = tensor.data.data();
  size_t count = tensor.count();
  for (size_t i = 0; i < count; ++i) {
    float value = seededValue(seed, i);
    // The upper bits are the better mixed ones; any range divides them.
    int64_t integer = int64_t((seededBits(seed, i) >> 8) % uint64_t(intRange));
    switch (tensor.type) {
    case ElementType::F64:
      store(data + 8 * i, double(value));
      break;
    case ElementType::F32:
      store(data + 4 * i, value);
      break;
    case ElementType::F16:
      store(data + 2 * i, floatToF16(value));
      break;
    case ElementType::BF16:
      store(data + 2 * i, floatToBF16(value));
      break;
    case ElementType::I64:
      store(data + 8 * i, integer);
      break;
    case ElementType::I32:
      store(data + 4 * i, int32_t(integer));
      break;
    case ElementType::I8:
      store(data + i, int8_t(integer));
      break;
    default:
      data[i] = uint8_t(integer & 1);
      break;
    }
  }
}

/// Reads FILE.npy or FILE.safetensors:KEY.
Result<NpyArray> readArray(const std::string &source) {
  if (source.ends_with(".npy"))
    return readNpy(source);
  constexpr std::string_view extension = ".safetensors:";
  size_t place = source.rfind(extension);
  if (place == std::string::npos)
    return Error{source +
                 ": expected FILE.npy or FILE.safetensors:KEY as input"};
  std::string path = source.substr(0, place + extension.size() - 1);
  std::string key = source.substr(place + extension.size());
  Result<SafetensorsFile> file = SafetensorsFile::open(path);
  if (!file)
    return Error{file.error()};
  const TensorRecord *record = file->find(key);
  if (!record)
    return Error{path + ": expected a tensor '" + key + "', found none"};
  std::span<const uint8_t> data = file->data(*record);
  return NpyArray{record->type, record->shape, {data.begin(), data.end()}};
}

/// Extents of each class, as far as known.
struct ExtentClasses {
  std::vector<std::pair<int64_t, int64_t>> known;

  /// The value of a class, which becomes `value` when it has none.
  int64_t valueOf(int64_t extentClass, int64_t value) {
    for (const auto &[name, extent] : known)
      if (name == extentClass)
        return extent;
    known.emplace_back(extentClass, value);
    return value;
  }
};

/// Narrow floats as f32, which holds them exactly.
void widen(NpyArray &array) {
  std::vector<uint8_t> wide(array.data.size() * 2);
  for (size_t i = 0; i < array.data.size() / 2; ++i) {
    uint16_t bits;
    std::memcpy(&bits, array.data.data() + 2 * i, sizeof bits);
    float value = array.type == ElementType::F16 ? f16ToFloat(bits)
                                                 : bf16ToFloat(bits);
    std::memcpy(wide.data() + 4 * i, &value, sizeof value);
  }
  array.type = ElementType::F32;
  array.data = std::move(wide);
}

/// Puts a file's values into the tensor when they fit the argument.
Status fillFromFile(Tensor &tensor, const std::string &source,
                    ExtentClasses &classes) {
  const moert_argument &argument = *tensor.argument;
  Result<NpyArray> array = readArray(source);
  if (!array)
    return Error{array.error()};
  if (tensor.type == ElementType::F32 &&
      (array->type == ElementType::F16 || array->type == ElementType::BF16))
    widen(*array);
  std::string where =
      std::string(argument.role == MOERT_INPUT ? "input '" : "output '") +
      argument.name + "': ";
  if (array->type != tensor.type)
    return Error{where + "expected " + typeName(tensor.type) + ", found " +
                 typeName(array->type) + " in " + source};
  bool fits = array->shape.size() == argument.rank;
  for (size_t d = 0; fits && d < array->shape.size(); ++d) {
    int64_t expected = argument.shape[d];
    if (expected < MOERT_DYNAMIC)
      expected = classes.valueOf(expected, array->shape[d]);
    fits = expected == MOERT_DYNAMIC || expected == array->shape[d];
  }
  if (!fits)
    return Error{where + "expected " + describe(argument) + ", found shape " +
                 shapeToString(array->shape) + " in " + source +
                 " (equal negative extents are equal in a run)"};
  tensor.shape = array->shape;
  tensor.data = std::move(array->data);
  return success();
}

} // namespace

Result<std::vector<Tensor>> makeTensors(const moert_library_entry *entry,
                                        const ValueOptions &options) {
  int32_t count = 0;
  moert_library_argument_count(entry, &count);
  std::vector<Tensor> tensors;
  std::string names;
  for (int32_t i = 0; i < count; ++i) {
    const moert_argument *argument = nullptr;
    moert_library_argument(entry, i, &argument);
    // What a layer binds is not the caller's.
    if (argument->role == MOERT_BINDING)
      continue;
    Tensor &tensor = tensors.emplace_back();
    tensor.argument = argument;
    std::optional<ElementType> type = typeOf(*tensor.argument);
    if (!type)
      return Error{std::string("argument '") + tensor.argument->name +
                   "': expected a type that moe-run knows"};
    tensor.type = *type;
    if (tensor.argument->role == MOERT_INPUT)
      names += (names.empty() ? "" : ", ") + std::string(tensor.argument->name);
  }
  for (const auto &[name, source] : options.inputs)
    if (std::none_of(tensors.begin(), tensors.end(), [&](const Tensor &tensor) {
          return tensor.argument->role == MOERT_INPUT && tensor.argument->name == name;
        }))
      return Error{"expected an input '" + name + "', found only " + names};

  ExtentClasses classes;
  for (Tensor &tensor : tensors) {
    auto source = options.inputs.find(tensor.argument->name);
    if (tensor.argument->role == MOERT_OUTPUT || source == options.inputs.end())
      continue;
    if (Status status = fillFromFile(tensor, source->second, classes); !status)
      return Error{status.error()};
  }
  for (size_t i = 0; i < tensors.size(); ++i) {
    Tensor &tensor = tensors[i];
    const moert_argument &argument = *tensor.argument;
    if (argument.role == MOERT_INPUT && options.inputs.count(argument.name))
      continue;
    for (int64_t extent : std::span(argument.shape, argument.rank)) {
      if (extent < MOERT_DYNAMIC)
        extent = classes.valueOf(extent, options.tokens);
      else if (extent == MOERT_DYNAMIC)
        extent = options.tokens;
      tensor.shape.push_back(extent);
    }
    constexpr uint64_t mostBytes = uint64_t(1) << 40;
    std::optional<uint64_t> bytes = tensorBytes(tensor.type, tensor.shape);
    if (!bytes || *bytes > mostBytes)
      return Error{std::string("argument '") + argument.name +
                   "': expected at most 2^40 bytes, found shape " +
                   shapeToString(tensor.shape)};
    tensor.data.resize(*bytes);
    if (argument.role == MOERT_INPUT)
      setSeeded(tensor, uint32_t(options.seed) + uint32_t(i), options.intRange);
  }
  return tensors;
}

Result<std::vector<std::pair<size_t, Tensor>>>
readExpected(std::span<const Tensor> tensors, const ValueOptions &options) {
  std::vector<std::pair<size_t, Tensor>> result;
  std::string names;
  for (const Tensor &tensor : tensors)
    if (tensor.argument->role == MOERT_OUTPUT)
      names += (names.empty() ? "" : ", ") + std::string(tensor.argument->name);
  for (const auto &[name, source] : options.expected) {
    auto place = std::find_if(
        tensors.begin(), tensors.end(), [&](const Tensor &tensor) {
          return tensor.argument->role == MOERT_OUTPUT &&
                 tensor.argument->name == name;
        });
    if (place == tensors.end())
      return Error{"expected an output '" + name + "', found only " +
                   names};
    Tensor tensor = *place;
    ExtentClasses classes;
    if (Status status = fillFromFile(tensor, source, classes); !status)
      return Error{status.error()};
    if (tensor.shape != place->shape)
      return Error{"expected shape " + shapeToString(place->shape) +
                   " of '" + name + "', found " + shapeToString(tensor.shape) +
                   " in " + source};
    result.emplace_back(size_t(place - tensors.begin()), std::move(tensor));
  }
  return result;
}

} // namespace moec::run
