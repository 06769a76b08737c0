// Families of models as data: which tensors and config keys make an MoE layer.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_FRONTEND_FAMILY_H
#define MOEC_FRONTEND_FAMILY_H

#include "frontend/NamePattern.h"
#include "weights/Json.h"
#include "weights/Result.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace moec::frontend {

/// What a tensor holds. Shared experts are those that every token takes;
/// SharedRouter is the vector whose sigmoid weighs them.
enum class Role {
  Router,
  Gate,
  Up,
  Down,
  SharedRouter,
  SharedGate,
  SharedUp,
  SharedDown
};

/// "router", ..., "shared.down": also the last part of a tensor's key.
std::string_view roleName(Role role);

/// How logits become scores, before the best are chosen.
enum class RouterScore { Softmax, Sigmoid };

/// What an axis of a stored tensor counts. Where a tensor holds several roles
/// its intermediate axis has that many times the length.
enum class Axis { Experts, Hidden, Intermediate, SharedIntermediate, One };

/// Rows and columns of a role's matrices, as y = x·W has them.
std::pair<Axis, Axis> matrixAxes(Role role);

/// How the roles of one tensor share its intermediate axis: one behind the
/// other, or in turn.
enum class Split { Blocks, Interleaved };

/// A tensor of a family: its name within the checkpoint, the meaning of its
/// axes as stored, and the roles it holds, in their order.
struct FamilyTensor {
  NamePattern name;
  std::vector<Axis> axes;
  std::vector<Role> holds;
  Split split = Split::Blocks;
};

/// One way in which checkpoints of a family lay out their tensors.
struct FamilyLayout {
  std::string name;
  /// What the names of an MoE block's tensors begin with; any other tensor of
  /// that beginning is an error.
  NamePattern block;
  std::vector<FamilyTensor> tensors;
};

/// A number, switch or text: a constant, or what config.json says under the
/// first of several keys, or the default if it has none of them.
struct FamilyValue {
  std::vector<std::string> keys;
  std::optional<weights::JsonValue> otherwise;
};

/// A family of models, read from frontend/families/NAME.json; docs/families.md
/// describes the format.
struct Family {
  std::string name;
  std::string description;
  std::vector<std::string> modelTypes;
  std::vector<std::string> architectures;

  FamilyValue layers, hidden, intermediate, experts, choices, activation;
  /// Width of the shared experts; families without them have none.
  std::optional<FamilyValue> sharedIntermediate;
  /// Layer i is an MoE layer if step divides i + 1 and `dense` lacks i.
  FamilyValue step, dense;

  RouterScore score = RouterScore::Softmax;
  FamilyValue normalise, scale;

  std::vector<FamilyLayout> layouts;
};

/// Parses a family file. `name` stands in messages.
weights::Result<Family> parseFamily(const std::string &name,
                                    std::string_view text);

/// All *.json files of a folder, by file name. No model type or architecture
/// may be claimed twice.
weights::Result<std::vector<Family>> loadFamilies(const std::string &folder);

/// Where the families are that came with a program, by default the running one:
/// ../share/moec/families beside its folder.
weights::Result<std::string>
installedFamilies(const std::string &program = "/proc/self/exe");

/// The family a config names by `architectures` or `model_type`. An unknown
/// one is an error that says which family is nearest, and all there are.
weights::Result<const Family *>
selectFamily(const std::string &name, const weights::JsonValue &config,
             const std::vector<Family> &families);

} // namespace moec::frontend

#endif // MOEC_FRONTEND_FAMILY_H
