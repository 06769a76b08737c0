// Tests of checkpoints whose weights bitsandbytes stored in nf4.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "frontend/BitsAndBytes.h"

#include "frontend/Checkpoint.h"
#include "test/unit/frontend/SyntheticCheckpoint.h"
#include "weights/Nf4.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>

using namespace moec::frontend;
using namespace moec::test;
using namespace moec::weights;

namespace {

constexpr int64_t D = SyntheticCheckpoint::hidden, F = SyntheticCheckpoint::intermediate,
                  E = SyntheticCheckpoint::experts;
constexpr int64_t blockSize = 4;

std::vector<uint8_t> bytesOf(const std::vector<float> &values) {
  std::vector<uint8_t> bytes(4 * values.size());
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

std::vector<uint8_t> textOf(const std::string &text) { return {text.begin(), text.end()}; }

/// What stands for element `i` of a tensor, and the scale of a block.
uint8_t codeOf(const std::string &name, int64_t i) {
  return uint8_t((uint64_t(i) * 7 + name.size() + uint8_t(name[name.size() - 8])) % 16);
}
float scaleOf(int64_t block) { return 0.125f * float(block + 1); }
float nestedScaleOf(int64_t block) { return float(block % 256) / 64 * 0.5f + 0.25f; }

/// Puts a weight into nf4 as bitsandbytes writes it.
void quantize(SyntheticCheckpoint &checkpoint, const std::string &name, bool isNested = false) {
  std::vector<int64_t> shape = checkpoint.tensor(name).shape;
  int64_t count = *elementCount(shape), blocks = (count + blockSize - 1) / blockSize;
  std::vector<uint8_t> codes(size_t(count + 1) / 2);
  for (int64_t i = 0; i < count; ++i)
    codes[size_t(i / 2)] |= uint8_t(codeOf(name, i) << (i % 2 == 0 ? 4 : 0));
  checkpoint.tensor(name) = {name, ElementType::U8, {int64_t(codes.size()), 1}, codes};
  auto add = [&](const std::string &part, ElementType type, std::vector<uint8_t> bytes) {
    int64_t size = int64_t(bytes.size()) / (type == ElementType::F32 ? 4 : 1);
    checkpoint.tensors.push_back({name + part, type, {size}, std::move(bytes)});
  };
  std::string state = R"({"quant_type": "nf4", "blocksize": 4, "dtype": "bfloat16", "shape": )" + shapeToString(shape);
  if (isNested) {
    std::vector<uint8_t> ofScales(static_cast<size_t>(blocks));
    for (size_t i = 0; i < ofScales.size(); ++i)
      ofScales[i] = uint8_t(i);
    std::vector<float> map(256);
    for (size_t i = 0; i < 256; ++i)
      map[i] = float(i) / 64;
    add(".absmax", ElementType::U8, ofScales);
    add(".nested_absmax", ElementType::F32, bytesOf(std::vector<float>(size_t(blocks + 1) / 2, 0.5f)));
    add(".nested_quant_map", ElementType::F32, bytesOf(map));
    state += R"(, "nested_blocksize": 2, "nested_dtype": "float32", "nested_offset": 0.25)";
  } else {
    std::vector<float> scales;
    for (int64_t block = 0; block < blocks; ++block)
      scales.push_back(scaleOf(block));
    add(".absmax", ElementType::F32, bytesOf(scales));
  }
  add(".quant_map", ElementType::F32, bytesOf({nf4Values.begin(), nf4Values.end()}));
  add(".quant_state.bitsandbytes__nf4", ElementType::U8, textOf(state + "}"));
}

float expectedValue(const std::string &name, int64_t i, bool isNested) {
  int64_t block = i / blockSize;
  float value = nf4Values[codeOf(name, i)] * (isNested ? nestedScaleOf(block) : scaleOf(block));
  return bf16ToFloat(floatToBF16(value));
}

const char config[] = R"({"quant_method": "bitsandbytes", "load_in_4bit": true, "bnb_4bit_quant_type": "nf4"})";

std::string expertName(int64_t layer, int64_t expert, const std::string &matrix) {
  return "model.layers." + std::to_string(layer) + ".block_sparse_moe.experts." + std::to_string(expert) + "." + matrix +
         ".weight";
}

/// A mixtral whose experts, attention and one router are in nf4.
SyntheticCheckpoint quantized(bool isNested) {
  SyntheticCheckpoint checkpoint("mixtral");
  checkpoint.config["quantization_config"] = config;
  for (int64_t layer = 0; layer < 3; ++layer) {
    quantize(checkpoint, "model.layers." + std::to_string(layer) + ".self_attn.q_proj.weight", isNested);
    for (int64_t expert = 0; expert < E; ++expert)
      for (const char *matrix : {"w1", "w2", "w3"})
        quantize(checkpoint, expertName(layer, expert, matrix), isNested);
  }
  quantize(checkpoint, "model.layers.1.block_sparse_moe.gate.weight", isNested);
  return checkpoint;
}

void expectMatrices(const Checkpoint &opened, bool isNested) {
  auto source = opened.source();
  for (auto [role, matrix, in, out] : {std::tuple("gate", "w1", D, F), std::tuple("down", "w2", F, D)}) {
    auto matrices = source->openMatrices("m", std::string("layers.2.") + role, {{E, in, out}});
    ASSERT_TRUE(matrices) << matrices.error();
    std::vector<float> values = *readAll(**matrices);
    for (int64_t expert = 0; expert < E; ++expert)
      for (int64_t row = 0; row < in; ++row)
        for (int64_t col = 0; col < out; ++col)
          EXPECT_EQ(values[size_t((expert * in + row) * out + col)],
                    expectedValue(expertName(2, expert, matrix), col * in + row, isNested));
  }
}

TEST(BitsAndBytes, weightsAreWhatTheirCodesStandFor) {
  for (bool isNested : {false, true}) {
    TemporaryFolder folder;
    quantized(isNested).write(folder);
    auto opened = Checkpoint::open(folder.path, {{}, /*checkFinite=*/true});
    ASSERT_TRUE(opened) << opened.error();
    expectMatrices(*opened, isNested);
    // Values are those of bf16, of which the model says that it has them.
    EXPECT_EQ(opened->layers()[0].gateType, ElementType::BF16);
    EXPECT_EQ(opened->inExperts().parameters, uint64_t(3 * E * 3 * D * F));
    // 8 bytes of codes, 4 scales of 4 bytes; or 4 of one, a map, and 2 of 4 bytes.
    EXPECT_EQ(opened->inExperts().bytes, uint64_t(3 * E * 3 * (8 + (isNested ? 4 + 1024 + 8 : 16))));
    EXPECT_EQ(opened->total().parameters, uint64_t(16 * D + 3 * (D * D + 1 + E * D + E * 3 * (D * F + 1))));
    auto router = opened->source()->openMatrices("m", "layers.1.router", {{D, E}});
    ASSERT_TRUE(router) << router.error();
    EXPECT_EQ((*readAll(**router))[1],
              expectedValue("model.layers.1.block_sparse_moe.gate.weight", D, isNested));
  }
}

TEST(BitsAndBytes, partsMayBeInOtherShards) {
  TemporaryFolder folder;
  quantized(true).writeShards(folder, 3);
  auto opened = Checkpoint::open(folder.path);
  ASSERT_TRUE(opened) << opened.error();
  expectMatrices(*opened, true);
}

/// The error of opening a checkpoint with something wrong about one weight.
std::string refusal(const std::function<void(SyntheticCheckpoint &, const std::string &)> &spoil, bool isNested = false) {
  SyntheticCheckpoint checkpoint = quantized(isNested);
  spoil(checkpoint, expertName(0, 1, "w1"));
  TemporaryFolder folder;
  checkpoint.write(folder);
  auto opened = Checkpoint::open(folder.path, {{}, /*checkFinite=*/true});
  EXPECT_FALSE(opened);
  std::string message = opened.error();
  for (const std::string &known : {folder.path + "/model.safetensors: tensor '" + expertName(0, 1, "w1") + "': ",
                                   folder.path + "/model.safetensors: tensor '" + expertName(0, 1, "w1") + "'"})
    if (message.starts_with(known))
      return message.substr(known.size());
  return message;
}

/// The same with another quant_state.
std::string stateRefusal(const std::string &from, const std::string &to, bool isNested = false) {
  return refusal(
      [&](SyntheticCheckpoint &checkpoint, const std::string &name) {
        SyntheticTensor &state = checkpoint.tensor(name + ".quant_state.bitsandbytes__nf4");
        std::string text(state.bytes.begin(), state.bytes.end());
        size_t at = text.find(from);
        ASSERT_NE(at, std::string::npos) << text;
        text.replace(at, from.size(), to);
        state.bytes = textOf(text);
        state.shape = {int64_t(text.size())};
      },
      isNested);
}

TEST(BitsAndBytes, badInput) {
  EXPECT_EQ(stateRefusal("\"nf4\"", "\"fp4\""), "expected nf4 as 'quant_type', found the string 'fp4'");
  EXPECT_EQ(stateRefusal("\"dtype\"", "\"type\""), "expected a key 'dtype' of its quant_state, found none");
  EXPECT_EQ(stateRefusal("bfloat16", "int8"),
            "expected float32 or bfloat16 or float16 as 'dtype', found the string 'int8'");
  EXPECT_EQ(stateRefusal("4,", "\"4\","), "expected an integer as 'blocksize', found the string '4'");
  EXPECT_EQ(stateRefusal("4,", "0,"), "expected blocks of 1 to 65536, found 0");
  EXPECT_EQ(stateRefusal("4,", "8,"), "expected 8 bytes of scales, found 16");
  EXPECT_EQ(stateRefusal("[3, 5]", "15"), "expected an array as 'shape', found 15");
  EXPECT_EQ(stateRefusal("[3, 5]", "[3, 0]"), "expected positive integers in 'shape', found 0");
  EXPECT_EQ(stateRefusal("[3, 5]", "[4, 4]"), "expected shape [3, 5], as config.json says, found [4, 4]");
  EXPECT_EQ(stateRefusal("[3, 5]", "[4611686018427387904, 4]"),
            "expected a shape of at most 2^63 bytes, found [4611686018427387904, 4]");
  EXPECT_EQ(stateRefusal("{", "").substr(0, 13), "quant_state: ");
  EXPECT_EQ(stateRefusal("0.25", "1e39", true), "expected a number within F32 as 'nested_offset', found 1e+39");
  EXPECT_EQ(stateRefusal("0.25", "null", true), "expected a number as 'nested_offset', found null");
  EXPECT_EQ(stateRefusal("\"float32\"", "\"float16\"", true),
            "expected float32 as 'nested_dtype', found the string 'float16'");

  auto part = [](const std::string &suffix, auto change) {
    return [=](SyntheticCheckpoint &checkpoint, const std::string &name) { change(checkpoint.tensor(name + suffix)); };
  };
  std::string name = expertName(0, 1, "w1");
  EXPECT_EQ(refusal([](auto &checkpoint, const std::string &of) { checkpoint.remove(of + ".absmax"); }),
            "expected a tensor '" + name + ".absmax', found none");
  EXPECT_EQ(refusal(part(".absmax", [](SyntheticTensor &tensor) { tensor.type = ElementType::I32; })),
            "expected F32 in '" + name + ".absmax', found I32");
  EXPECT_EQ(refusal(part(".quant_map", [](SyntheticTensor &tensor) { tensor.bytes[5] ^= 1; })),
            "expected the values of nf4 in 'quant_map', found others");
  EXPECT_EQ(refusal(part(".quant_map",
                         [](SyntheticTensor &tensor) {
                           tensor.bytes.resize(32);
                           tensor.shape = {8};
                         })),
            "expected 16 values in 'quant_map', found 8");
  EXPECT_EQ(refusal(part("", [](SyntheticTensor &tensor) { tensor.type = ElementType::I8; })),
            "expected codes in U8, found I8");
  EXPECT_EQ(refusal(part("",
                         [](SyntheticTensor &tensor) {
                           tensor.bytes.resize(7);
                           tensor.shape = {7, 1};
                         })),
            "expected 8 bytes of codes, found 7");
  // bitsandbytes' other format, by the name of its state.
  EXPECT_EQ(refusal(part(".quant_state.bitsandbytes__nf4",
                         [&](SyntheticTensor &tensor) { tensor.name = name + ".quant_state.bitsandbytes__fp4"; })),
            "expected weights in nf4, found fp4");
  // A scale that is no number: found as a value of the expert.
  EXPECT_EQ(refusal(part(".absmax", [](SyntheticTensor &tensor) { tensor.bytes = bytesOf({1, NAN, 1, 1}); })),
            "expected finite values, found NaN or infinity at [0, 4], in layers.0.gate of expert 1");
  // Without codes its parts belong to nothing.
  EXPECT_NE(refusal([](auto &checkpoint, const std::string &of) { checkpoint.remove(of + ".quant_state.bitsandbytes__nf4"); })
                .find("found"),
            std::string::npos);
}

TEST(BitsAndBytes, allMatricesOfARoleInOneForm) {
  SyntheticCheckpoint checkpoint("mixtral");
  quantize(checkpoint, expertName(0, 2, "w1"));
  TemporaryFolder folder;
  checkpoint.write(folder);
  auto opened = Checkpoint::open(folder.path);
  ASSERT_TRUE(opened) << opened.error();
  EXPECT_EQ(opened->source()->openMatrices("m", "layers.0.gate", {{E, D, F}}).error(),
            "m: expected all matrices in plain numbers as '" + expertName(0, 0, "w1") + "', found '" +
                expertName(0, 2, "w1") + "' in nf4");
}

} // namespace
