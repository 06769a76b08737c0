// Tests of modules that are made from checkpoints.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "frontend/Importer.h"

#include "test/unit/frontend/SyntheticCheckpoint.h"

#include "mlir/IR/Verifier.h"
#include "llvm/Support/raw_ostream.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>

using namespace moec::frontend;
using namespace moec::test;
using moec::weights::ElementType;
using moec::weights::Result;

namespace {

/// The module of a checkpoint in a folder, verified and printed.
std::string imported(const TemporaryFolder &folder,
                     const CheckpointOptions &options = {}) {
  Result<Checkpoint> checkpoint = Checkpoint::open(folder.path, options);
  EXPECT_TRUE(checkpoint) << checkpoint.error();
  if (!checkpoint)
    return {};
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  mlir::OwningOpRef<mlir::ModuleOp> module =
      importCheckpoint(context, *checkpoint);
  EXPECT_TRUE(mlir::succeeded(mlir::verify(*module)));
  std::string text;
  llvm::raw_string_ostream(text) << *module << "\n";
  return text;
}

std::string imported(const SyntheticCheckpoint &model) {
  TemporaryFolder folder;
  model.write(folder);
  return imported(folder);
}

std::string replaced(std::string text, const std::string &from,
                     const std::string &to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos;
       at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

/// A layer of SyntheticCheckpoint: N is its index, ENC an encoding, NORM what
/// is behind the scores.
const std::string layerText =
    R"(  moe.param private @layerN.router : !moe.weight<5x4xf32> = #moe.external<"model"::"layers.N.router">ENC
  moe.param private @layerN.gate : !moe.weight<5x3xf32, expert[4]> = #moe.external<"model"::"layers.N.gate">ENC
  moe.param private @layerN.up : !moe.weight<5x3xf32, expert[4]> = #moe.external<"model"::"layers.N.up">ENC
  moe.param private @layerN.down : !moe.weight<3x5xf32, expert[4]> = #moe.external<"model"::"layers.N.down">ENC
  func.func @layerN(%arg0: tensor<?x5xf32> {moec.name = "x"}) -> (tensor<?x5xf32> {moec.name = "y"}) {
    %0 = moe.leaf @layerN.router : !moe.weight<5x4xf32>
    %1 = moe.apply %arg0, %0 : tensor<?x5xf32>, !moe.weight<5x4xf32> -> tensor<?x4xf32>
    %ids, %weights = moe.route %1 score softmax choose <top_k 2> gates <scoresNORM> : (tensor<?x4xf32>) -> (tensor<?x2x!moe.id<expert[4]>>, tensor<?x2xf32>)
    %2 = moe.leaf @layerN.gate : !moe.weight<5x3xf32, expert[4]>
    %3 = moe.leaf @layerN.up : !moe.weight<5x3xf32, expert[4]>
    %4 = moe.leaf @layerN.down : !moe.weight<3x5xf32, expert[4]>
    %5 = moe.experts %arg0 to %ids weighted %weights gate %2 up %3 down %4 act <silu> : (tensor<?x5xf32>, tensor<?x2x!moe.id<expert[4]>>, tensor<?x2xf32>, !moe.weight<5x3xf32, expert[4]>, !moe.weight<5x3xf32, expert[4]>, !moe.weight<3x5xf32, expert[4]>) -> tensor<?x5xf32>
    return %5 : tensor<?x5xf32>
  }
)";

std::string expected(const std::vector<int> &layers,
                     const std::string &encoding, const std::string &norm) {
  std::string text = "module {\n";
  for (int layer : layers) {
    std::string number = std::to_string(layer);
    text += replaced(layerText, "layerN", "layer" + number);
    text = replaced(text, "layers.N", "layers." + number);
  }
  text = replaced(replaced(text, "ENC", encoding), "NORM", norm);
  return text + "}\n";
}

TEST(Importer, mixtral) {
  for (bool isStacked : {false, true})
    EXPECT_EQ(imported(SyntheticCheckpoint("mixtral", isStacked)),
              expected({0, 1, 2}, " encoding <bf16>", ", l1"));
}

TEST(Importer, qwenWithADenseLayer) {
  EXPECT_EQ(imported(SyntheticCheckpoint("qwen3_moe", false, ElementType::F16)),
            expected({0, 2}, " encoding <f16>", ", l1"));
}

TEST(Importer, olmoeKeepsScores) {
  EXPECT_EQ(imported(SyntheticCheckpoint("olmoe", false, ElementType::F32)),
            expected({0, 1, 2}, "", ""));
}

TEST(Importer, encodesEachRoleAsItIsStored) {
  SyntheticCheckpoint model("olmoe", true);
  for (SyntheticTensor &tensor : model.tensors) {
    if (tensor.name.ends_with("down_proj"))
      tensor.type = ElementType::F16;
    if (tensor.name.ends_with("mlp.gate.weight")) {
      tensor.type = ElementType::F32;
      tensor.bytes.resize(2 * tensor.bytes.size());
    }
  }
  std::string text = imported(model);
  for (const char *line :
       {"\"layers.0.router\">\n", "\"layers.0.gate\"> encoding <bf16>\n",
        "\"layers.0.up\"> encoding <bf16>\n",
        "\"layers.0.down\"> encoding <f16>\n"})
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
}

/// A family of one layer with a shared expert; `router` is the tensor of its
/// gate, or nothing.
std::string importedShared(const std::string &router) {
  TemporaryFolder folder;
  std::filesystem::create_directory(folder.file("f"));
  folder.write("f/other.json", R"({
  "format": 1, "family": "other", "description": "x", "model_types": "other", "architectures": "Other",
  "config": {"layers": 1, "hidden": 2, "intermediate": 2, "experts": 2, "choices": 1, "activation": "gelu_new",
             "shared_intermediate": 3},
  "router": {"score": "sigmoid", "normalise": true, "scale": 2.5},
  "layouts": [{"name": "x", "block": "{layer}.", "tensors": [
    {"name": "r", "axes": ["hidden", "experts"], "holds": ["router"]},
    {"name": "gu", "axes": ["experts", "hidden", "intermediate"], "holds": ["gate", "up"]},
    {"name": "d", "axes": ["experts", "intermediate", "hidden"], "holds": ["down"]}, )" +
                                   router + R"(
    {"name": "s.gu", "axes": ["shared_intermediate", "hidden"], "holds": ["shared.gate", "shared.up"]},
    {"name": "s.d", "axes": ["hidden", "shared_intermediate"], "holds": ["shared.down"]}]}]})");
  folder.write("config.json", R"({"model_type": "other"})");
  SyntheticCheckpoint model("mixtral", false, ElementType::F32);
  model.tensors.clear();
  auto zero = [](int64_t) { return 0.0f; };
  model.add("0.r", {2, 2}, zero);
  model.add("0.gu", {2, 2, 4}, zero);
  model.add("0.d", {2, 2, 2}, zero);
  if (!router.empty())
    model.add("0.s.r", {1, 2}, zero);
  model.add("0.s.gu", {6, 2}, zero);
  model.add("0.s.d", {2, 3}, zero);
  SyntheticCheckpoint::writeTensors(folder.file("model.safetensors"),
                                    model.tensors);
  return imported(folder, {.families = folder.file("f"), .checkFinite = false});
}

TEST(Importer, sharedExpertWithAGate) {
  std::string text = importedShared(
      R"({"name": "s.r", "axes": ["one", "hidden"], "holds": ["shared.router"]},)");
  EXPECT_EQ(
      text.substr(text.find("  moe.param private @layer0.shared")),
      R"(  moe.param private @layer0.shared.router : !moe.weight<2x1xf32> = #moe.external<"model"::"layers.0.shared.router">
  moe.param private @layer0.shared.gate : !moe.weight<2x3xf32> = #moe.external<"model"::"layers.0.shared.gate">
  moe.param private @layer0.shared.up : !moe.weight<2x3xf32> = #moe.external<"model"::"layers.0.shared.up">
  moe.param private @layer0.shared.down : !moe.weight<3x2xf32> = #moe.external<"model"::"layers.0.shared.down">
  func.func @layer0(%arg0: tensor<?x2xf32> {moec.name = "x"}) -> (tensor<?x2xf32> {moec.name = "y"}) {
    %0 = moe.leaf @layer0.router : !moe.weight<2x2xf32>
    %1 = moe.apply %arg0, %0 : tensor<?x2xf32>, !moe.weight<2x2xf32> -> tensor<?x2xf32>
    %ids, %weights = moe.route %1 score sigmoid choose <top_k 1> gates <scores, l1 scale 2.5> : (tensor<?x2xf32>) -> (tensor<?x1x!moe.id<expert[2]>>, tensor<?x1xf32>)
    %2 = moe.leaf @layer0.gate : !moe.weight<2x2xf32, expert[2]>
    %3 = moe.leaf @layer0.up : !moe.weight<2x2xf32, expert[2]>
    %4 = moe.leaf @layer0.down : !moe.weight<2x2xf32, expert[2]>
    %5 = moe.experts %arg0 to %ids weighted %weights gate %2 up %3 down %4 act <gelu_tanh> : (tensor<?x2xf32>, tensor<?x1x!moe.id<expert[2]>>, tensor<?x1xf32>, !moe.weight<2x2xf32, expert[2]>, !moe.weight<2x2xf32, expert[2]>, !moe.weight<2x2xf32, expert[2]>) -> tensor<?x2xf32>
    %6 = moe.leaf @layer0.shared.router : !moe.weight<2x1xf32>
    %7 = moe.apply %arg0, %6 : tensor<?x2xf32>, !moe.weight<2x1xf32> -> tensor<?x1xf32>
    %ids_0, %weights_1 = moe.route %7 score sigmoid choose <top_k 1> gates <scores> : (tensor<?x1xf32>) -> (tensor<?x1x!moe.id<expert[1]>>, tensor<?x1xf32>)
    %8 = moe.leaf @layer0.shared.gate : !moe.weight<2x3xf32>
    %9 = moe.leaf @layer0.shared.up : !moe.weight<2x3xf32>
    %10 = moe.leaf @layer0.shared.down : !moe.weight<3x2xf32>
    %11 = moe.experts %arg0 to %ids_0 weighted %weights_1 gate %8 up %9 down %10 act <gelu_tanh> : (tensor<?x2xf32>, tensor<?x1x!moe.id<expert[1]>>, tensor<?x1xf32>, !moe.weight<2x3xf32>, !moe.weight<2x3xf32>, !moe.weight<3x2xf32>) -> tensor<?x2xf32>
    %12 = arith.addf %5, %11 : tensor<?x2xf32>
    return %12 : tensor<?x2xf32>
  }
}
)");
}

TEST(Importer, sharedExpertWithoutAGate) {
  std::string text = importedShared("");
  EXPECT_EQ(text.find("shared.router"), std::string::npos);
  size_t from = text.find("    %c0 =");
  EXPECT_EQ(text.substr(from, text.find("    %8 =") - from),
            R"(    %c0 = arith.constant 0 : index
    %dim = tensor.dim %arg0, %c0 : tensor<?x2xf32>
    %6 = tensor.empty(%dim) : tensor<?x1xf32>
    %cst = arith.constant 0.000000e+00 : f32
    %7 = linalg.fill ins(%cst : f32) outs(%6 : tensor<?x1xf32>) -> tensor<?x1xf32>
    %ids_0, %weights_1 = moe.route %7 score softmax choose <top_k 1> gates <scores> : (tensor<?x1xf32>) -> (tensor<?x1x!moe.id<expert[1]>>, tensor<?x1xf32>)
)") << text;
}

TEST(Importer, holdsNoWeightsAndTakesNoTime) {
  TemporaryFolder folder;
  SyntheticCheckpoint("olmoe", true, ElementType::BF16, /*layers=*/48)
      .write(folder);
  Result<Checkpoint> checkpoint = Checkpoint::open(folder.path);
  ASSERT_TRUE(checkpoint) << checkpoint.error();
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  auto begin = std::chrono::steady_clock::now();
  auto module = importCheckpoint(context, *checkpoint);
  std::chrono::duration<double> seconds =
      std::chrono::steady_clock::now() - begin;
  RecordProperty("seconds", std::to_string(seconds.count()));
  // Two hundred times what it takes.
  EXPECT_LT(seconds.count(), 1);
  EXPECT_EQ(std::distance(module->getOps().begin(), module->getOps().end()),
            48 * 5);
}

TEST(Importer, namesLayersInLocations) {
  TemporaryFolder folder;
  SyntheticCheckpoint("qwen3_moe").write(folder);
  Result<Checkpoint> checkpoint = Checkpoint::open(folder.path);
  ASSERT_TRUE(checkpoint) << checkpoint.error();
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  auto module = importCheckpoint(context, *checkpoint);
  auto location =
      mlir::dyn_cast<mlir::NameLoc>(module->lookupSymbol("layer2")->getLoc());
  ASSERT_TRUE(location);
  EXPECT_EQ(location.getName().str(), "layers.2");
}

} // namespace
