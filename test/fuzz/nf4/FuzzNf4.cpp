// Fuzz entry of weights in 4 bits: what is accepted must decode to the end.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// An input is the JSON of a weight's quant_state, a zero byte, the numbers of
// bytes of its codes, and of scales, scales of scales and values of their map
// (one byte each, of the last one less), and those bytes. What an input lacks
// is zeros.
#include "frontend/BitsAndBytes.h"

#include "test/unit/TemporaryFolder.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

using namespace moec::frontend;
using namespace moec::test;
using namespace moec::weights;

namespace {

/// Takes what is asked for off an input, zeros behind its end.
class Input {
public:
  explicit Input(std::string_view rest) : rest(rest) {}

  std::string_view text() {
    std::string_view text = rest.substr(0, rest.find('\0'));
    rest.remove_prefix(std::min(rest.size(), text.size() + 1));
    return text;
  }

  std::string bytes(size_t count) {
    std::string bytes(rest.substr(0, count));
    rest.remove_prefix(bytes.size());
    bytes.resize(count);
    return bytes;
  }

  size_t byte() { return uint8_t(bytes(1)[0]); }

private:
  std::string_view rest;
};

/// A safetensors file in the making.
class File {
public:
  void add(const std::string &name, const char *type, size_t elementBytes,
           const std::string &bytes) {
    header += std::string(header.empty() ? "{" : ",") + '"' + name +
              R"(":{"dtype":")" + type + R"(","shape":[)" +
              std::to_string(bytes.size() / elementBytes) +
              R"(],"data_offsets":[)" + std::to_string(data.size()) + ',' +
              std::to_string(data.size() + bytes.size()) + "]}";
    data += bytes;
  }

  std::string content() const {
    std::string length(8, '\0');
    uint64_t size = header.size() + 1;
    std::memcpy(length.data(), &size, sizeof size);
    return length + header + '}' + data;
  }

private:
  std::string header, data;
};

/// A weight in a file, as an input describes it.
std::string fileOf(std::string_view state, Input &input) {
  size_t codes = input.byte(), scales = input.byte(),
         nestedScales = 4 * input.byte(), map = 4 * input.byte() + 4;
  bool isNested = nestedScales != 0;
  std::string values(sizeof nf4Values, '\0');
  std::memcpy(values.data(), nf4Values.data(), sizeof nf4Values);
  File file;
  file.add("w.quant_state.bitsandbytes__nf4", "U8", 1, std::string(state));
  file.add("w", "U8", 1, input.bytes(codes));
  file.add("w.quant_map", "F32", 4, values);
  if (isNested) {
    file.add("w.absmax", "U8", 1, input.bytes(scales));
    file.add("w.nested_absmax", "F32", 4, input.bytes(nestedScales));
    file.add("w.nested_quant_map", "F32", 4, input.bytes(map));
  } else {
    file.add("w.absmax", "F32", 4, input.bytes(4 * scales));
  }
  return file.content();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static TemporaryFolder folder;
  Input input({reinterpret_cast<const char *>(data), size});
  std::string_view state = input.text();
  folder.write(weightsFileName, fileOf(state, input));
  Result<std::vector<Shard>> shards = openShards(folder.path);
  if (!shards)
    std::abort();
  QuantizedTensors tensors(*shards);
  if (!tensors.isCodes("w") || tensors.weightOf("w.absmax") != "w")
    std::abort();
  Result<Nf4Tensor> tensor = tensors.open("w");
  if (!tensor) {
    if (tensor.error().empty())
      std::abort();
    return 0;
  }
  // From every place, whatever block it lies in.
  std::vector<float> values(size_t(tensor->elements()));
  decodeNf4(*tensor, 0, values);
  for (size_t begin = 1; begin < values.size(); begin += 7) {
    std::vector<float> rest(values.size() - begin);
    decodeNf4(*tensor, int64_t(begin), rest);
    if (std::memcmp(rest.data(), &values[begin], 4 * rest.size()) != 0)
      std::abort();
  }
  return 0;
}
