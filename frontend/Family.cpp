// Families of models as data: which tensors and config keys make an MoE layer.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "frontend/Family.h"

#include "weights/File.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <numeric>
#include <system_error>

namespace moec::frontend {

using weights::Error;
using weights::JsonValue;
using weights::MappedFile;
using weights::parseJson;
using weights::quote;
using weights::Result;
using weights::Status;
using weights::success;

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

namespace {

template <typename T> struct Named {
  std::string_view name;
  T value;
};

constexpr Named<Role> roles[] = {
    {"router", Role::Router},
    {"gate", Role::Gate},
    {"up", Role::Up},
    {"down", Role::Down},
    {"shared.router", Role::SharedRouter},
    {"shared.gate", Role::SharedGate},
    {"shared.up", Role::SharedUp},
    {"shared.down", Role::SharedDown},
};
constexpr Named<Axis> axes[] = {
    {"experts", Axis::Experts},
    {"hidden", Axis::Hidden},
    {"intermediate", Axis::Intermediate},
    {"shared_intermediate", Axis::SharedIntermediate},
    {"one", Axis::One},
};
constexpr Named<Split> splits[] = {
    {"blocks", Split::Blocks},
    {"interleaved", Split::Interleaved},
};
constexpr Named<RouterScore> scores[] = {
    {"softmax", RouterScore::Softmax},
    {"sigmoid", RouterScore::Sigmoid},
};

std::string_view keyText(std::string_view key) { return key; }

/// "a, b, c" of what `name` gives for each item.
template <typename Items, typename Name>
std::string list(const Items &items, Name name) {
  std::string text;
  for (const auto &item : items)
    text += (text.empty() ? "" : ", ") + std::string(name(item));
  return text;
}

} // namespace

std::string_view roleName(Role role) { return roles[size_t(role)].name; }

std::pair<Axis, Axis> matrixAxes(Role role) {
  switch (role) {
  case Role::Router:
    return {Axis::Hidden, Axis::Experts};
  case Role::Gate:
  case Role::Up:
    return {Axis::Hidden, Axis::Intermediate};
  case Role::Down:
    return {Axis::Intermediate, Axis::Hidden};
  case Role::SharedRouter:
    return {Axis::Hidden, Axis::One};
  case Role::SharedGate:
  case Role::SharedUp:
    return {Axis::Hidden, Axis::SharedIntermediate};
  case Role::SharedDown:
    return {Axis::SharedIntermediate, Axis::Hidden};
  }
  return {};
}

//===----------------------------------------------------------------------===//
// Family files
//===----------------------------------------------------------------------===//

namespace {

/// Reads a family from its tree. Every function returns false once the error is
/// set; `where` is the path of a value within the file.
class FamilyReader {
public:
  FamilyReader(const std::string &file, Family &family)
      : file(file), family(family) {}

  std::string error;

  bool read(const JsonValue &root);

private:
  bool fail(const std::string &where, const std::string &expected,
            const std::string &found) {
    error = file + ": " + (where.empty() ? "" : where + ": ") + "expected " +
            expected + ", found " + found;
    return false;
  }

  /// An object with these keys and no others; those that begin with '?' may
  /// be absent.
  bool object(const std::string &where, const JsonValue &value,
              std::initializer_list<std::string_view> keys);
  bool text(const std::string &where, const JsonValue &value,
            std::string &result);
  /// One text or an array of them, at least one.
  bool texts(const std::string &where, const JsonValue &value,
             std::vector<std::string> &result);
  template <typename T, size_t N>
  bool choice(const std::string &where, const JsonValue &value,
              const Named<T> (&names)[N], T &result);
  template <typename T, size_t N>
  bool choices(const std::string &where, const JsonValue &value,
               const Named<T> (&names)[N], std::vector<T> &result);
  /// A value or {"key", "default"}; whether it fits is seen with a config.
  bool value(const std::string &where, const JsonValue &value,
             FamilyValue &result);
  bool layout(const std::string &where, const JsonValue &value,
              FamilyLayout &result);
  bool tensor(const std::string &where, const JsonValue &value,
              const std::string &block, FamilyTensor &result);
  bool checkAxes(const std::string &where, const FamilyTensor &tensor);

  const std::string &file;
  Family &family;
};

bool FamilyReader::object(const std::string &where, const JsonValue &value,
                          std::initializer_list<std::string_view> keys) {
  if (value.kind != JsonValue::Kind::Object)
    return fail(where, "an object", describe(value));
  auto plain = [](std::string_view key) {
    return key.substr(key.starts_with('?'));
  };
  for (const std::string &key : value.keys)
    if (std::none_of(keys.begin(), keys.end(), [&](std::string_view known) {
          return plain(known) == key;
        }))
      return fail(where, "only the keys " + list(keys, plain), quote(key));
  for (std::string_view key : keys)
    if (!key.starts_with('?') && !value.member(key))
      return fail(where, "the key " + quote(key),
                  "only " + list(value.keys, keyText));
  return true;
}

bool FamilyReader::text(const std::string &where, const JsonValue &value,
                        std::string &result) {
  if (value.kind != JsonValue::Kind::String || value.string.empty())
    return fail(where, "a text", describe(value));
  result = value.string;
  return true;
}

bool FamilyReader::texts(const std::string &where, const JsonValue &value,
                         std::vector<std::string> &result) {
  if (value.kind == JsonValue::Kind::String)
    return text(where, value, result.emplace_back());
  if (value.kind != JsonValue::Kind::Array || value.items.empty())
    return fail(where, "a text or an array of them", describe(value));
  for (const JsonValue &item : value.items)
    if (!text(where, item, result.emplace_back()))
      return false;
  return true;
}

template <typename T, size_t N>
bool FamilyReader::choice(const std::string &where, const JsonValue &value,
                          const Named<T> (&names)[N], T &result) {
  for (const Named<T> &named : names) {
    if (value.kind == JsonValue::Kind::String && value.string == named.name) {
      result = named.value;
      return true;
    }
  }
  return fail(where,
              "one of " + list(names, [](const Named<T> &n) { return n.name; }),
              describe(value));
}

template <typename T, size_t N>
bool FamilyReader::choices(const std::string &where, const JsonValue &value,
                           const Named<T> (&names)[N], std::vector<T> &result) {
  if (value.kind != JsonValue::Kind::Array || value.items.empty())
    return fail(where, "an array", describe(value));
  for (const JsonValue &item : value.items) {
    T chosen{};
    if (!choice(where, item, names, chosen))
      return false;
    if (std::find(result.begin(), result.end(), chosen) != result.end())
      return fail(where, "each name once", describe(item) + " twice");
    result.push_back(chosen);
  }
  return true;
}

bool FamilyReader::value(const std::string &where, const JsonValue &value,
                         FamilyValue &result) {
  if (value.kind != JsonValue::Kind::Object) {
    result.otherwise = value;
    return true;
  }
  if (!object(where, value, {"key", "?default"}) ||
      !texts(where + ".key", *value.member("key"), result.keys))
    return false;
  if (const JsonValue *otherwise = value.member("default"))
    result.otherwise = *otherwise;
  return true;
}

bool FamilyReader::read(const JsonValue &root) {
  if (!object("", root,
              {"format", "family", "description", "model_types",
               "architectures", "config", "?moe_layers", "router", "layouts"}))
    return false;
  const JsonValue &format = *root.member("format");
  if (format.kind != JsonValue::Kind::Integer || format.integer != 1)
    return fail("format", "1", describe(format));
  std::vector<std::string> lines;
  if (!text("family", *root.member("family"), family.name) ||
      !texts("description", *root.member("description"), lines) ||
      !texts("model_types", *root.member("model_types"), family.modelTypes) ||
      !texts("architectures", *root.member("architectures"),
             family.architectures))
    return false;
  for (const std::string &line : lines)
    family.description += (family.description.empty() ? "" : " ") + line;

  const JsonValue &config = *root.member("config");
  if (!object("config", config,
              {"layers", "hidden", "intermediate", "experts", "choices",
               "activation", "?shared_intermediate"}))
    return false;
  auto fromConfig = [&](const char *key, FamilyValue &result) {
    return value(std::string("config.") + key, *config.member(key), result);
  };
  if (!fromConfig("layers", family.layers) ||
      !fromConfig("hidden", family.hidden) ||
      !fromConfig("intermediate", family.intermediate) ||
      !fromConfig("experts", family.experts) ||
      !fromConfig("choices", family.choices) ||
      !fromConfig("activation", family.activation))
    return false;
  if (config.member("shared_intermediate") &&
      !fromConfig("shared_intermediate", family.sharedIntermediate.emplace()))
    return false;

  family.step.otherwise.emplace();
  family.step.otherwise->kind = JsonValue::Kind::Integer;
  family.step.otherwise->integer = 1;
  family.dense.otherwise.emplace();
  family.dense.otherwise->kind = JsonValue::Kind::Array;
  if (const JsonValue *layers = root.member("moe_layers")) {
    if (!object("moe_layers", *layers, {"step", "dense"}) ||
        !value("moe_layers.step", *layers->member("step"), family.step) ||
        !value("moe_layers.dense", *layers->member("dense"), family.dense))
      return false;
  }

  const JsonValue &router = *root.member("router");
  if (!object("router", router, {"score", "normalise", "scale"}) ||
      !choice("router.score", *router.member("score"), scores, family.score) ||
      !value("router.normalise", *router.member("normalise"),
             family.normalise) ||
      !value("router.scale", *router.member("scale"), family.scale))
    return false;

  const JsonValue &layouts = *root.member("layouts");
  if (layouts.kind != JsonValue::Kind::Array || layouts.items.empty())
    return fail("layouts", "an array of objects", describe(layouts));
  for (size_t i = 0; i < layouts.items.size(); ++i)
    if (!layout("layouts[" + std::to_string(i) + "]", layouts.items[i],
                family.layouts.emplace_back()))
      return false;
  return true;
}

bool FamilyReader::layout(const std::string &where, const JsonValue &value,
                          FamilyLayout &result) {
  std::string block;
  if (!object(where, value, {"name", "block", "tensors"}) ||
      !text(where + ".name", *value.member("name"), result.name) ||
      !text(where + ".block", *value.member("block"), block))
    return false;
  Result<NamePattern> pattern = NamePattern::parse(block);
  if (!pattern) {
    error = file + ": " + where + ".block: " + pattern.error();
    return false;
  }
  if (!pattern->hasLayer() || pattern->hasExpert())
    return fail(where + ".block", "{layer} and not {expert} in it",
                quote(block));
  result.block = *std::move(pattern);

  const JsonValue &tensors = *value.member("tensors");
  if (tensors.kind != JsonValue::Kind::Array)
    return fail(where + ".tensors", "an array of objects", describe(tensors));
  unsigned held[std::size(roles)] = {};
  for (size_t i = 0; i < tensors.items.size(); ++i) {
    FamilyTensor &added = result.tensors.emplace_back();
    if (!tensor(where + ".tensors[" + std::to_string(i) + "]", tensors.items[i],
                block, added))
      return false;
    for (Role role : added.holds)
      ++held[size_t(role)];
  }
  bool hasShared = family.sharedIntermediate.has_value();
  for (const Named<Role> &role : roles) {
    unsigned least = role.value < Role::SharedRouter || hasShared;
    unsigned most = least;
    if (role.value == Role::SharedRouter)
      least = 0;
    unsigned found = held[size_t(role.value)];
    if (found < least || found > most)
      return fail(where + ".tensors",
                  (most == 0 ? "no tensor without config.shared_intermediate"
                             : "one tensor") +
                      std::string(" that holds ") + std::string(role.name),
                  std::to_string(found));
  }
  return true;
}

bool FamilyReader::tensor(const std::string &where, const JsonValue &value,
                          const std::string &block, FamilyTensor &result) {
  std::string name;
  if (!object(where, value, {"name", "axes", "holds", "?split"}) ||
      !text(where + ".name", *value.member("name"), name) ||
      !choices(where + ".axes", *value.member("axes"), axes, result.axes) ||
      !choices(where + ".holds", *value.member("holds"), roles, result.holds))
    return false;
  Result<NamePattern> pattern = NamePattern::parse(block + name);
  if (!pattern) {
    error = file + ": " + where + ".name: " + pattern.error();
    return false;
  }
  result.name = *std::move(pattern);
  if (const JsonValue *split = value.member("split")) {
    if (!choice(where + ".split", *split, splits, result.split))
      return false;
    if (result.holds.size() == 1)
      return fail(where + ".split", "it only where a tensor holds several",
                  "one that holds " + std::string(roleName(result.holds[0])));
  }
  return checkAxes(where, result);
}

bool FamilyReader::checkAxes(const std::string &where,
                             const FamilyTensor &tensor) {
  auto axisName = [](Axis axis) { return frontend::axes[size_t(axis)].name; };
  Role first = tensor.holds[0];
  auto [in, out] = matrixAxes(first);
  for (Role role : tensor.holds) {
    // Halves of down would be rows of its inputs, not of its outputs.
    bool together = (role == Role::Gate || role == Role::Up ||
                     role == Role::SharedGate || role == Role::SharedUp) &&
                    matrixAxes(role).second == out;
    if (tensor.holds.size() > 1 && !together)
      return fail(where + ".holds", "only gate and up together",
                  std::string(roleName(first)) + " with " +
                      std::string(roleName(tensor.holds[1])));
  }
  bool ofExperts =
      first == Role::Gate || first == Role::Up || first == Role::Down;
  bool isStack = ofExperts && !tensor.name.hasExpert();
  if (!ofExperts && tensor.name.hasExpert())
    return fail(where + ".name",
                "no {expert} in the name of what holds " +
                    std::string(roleName(first)),
                quote(tensor.name.text()));
  std::vector<Axis> stored(tensor.axes.begin(), tensor.axes.end());
  bool fits = true;
  if (isStack) {
    fits = stored.front() == Axis::Experts;
    stored.erase(stored.begin());
  }
  fits &= stored == std::vector{in, out} || stored == std::vector{out, in};
  if (fits)
    return true;
  std::string expected = std::string(axisName(in)) + " and " +
                         std::string(axisName(out)) + " in either order";
  return fail(where + ".axes", isStack ? "experts, then " + expected : expected,
              list(tensor.axes, axisName));
}

} // namespace

Result<Family> parseFamily(const std::string &name, std::string_view text) {
  Result<JsonValue> root = parseJson(name, text);
  if (!root)
    return Error{root.error()};
  Family family;
  FamilyReader reader(name, family);
  if (!reader.read(*root))
    return Error{reader.error};
  return family;
}

//===----------------------------------------------------------------------===//
// Which family
//===----------------------------------------------------------------------===//

Result<std::vector<Family>> loadFamilies(const std::string &folder) {
  std::vector<std::string> paths;
  std::error_code code;
  std::filesystem::directory_iterator entries(folder, code);
  for (; !code && entries != std::filesystem::directory_iterator();
       entries.increment(code))
    if (entries->path().extension() == ".json")
      paths.push_back(entries->path().string());
  if (code)
    return Error{folder + ": expected a folder of family files, found none: " +
                 code.message()};
  if (paths.empty())
    return Error{folder + ": expected family files *.json, found none"};
  std::sort(paths.begin(), paths.end());

  std::vector<Family> families;
  std::map<std::string, std::string> claims;
  for (const std::string &path : paths) {
    Result<MappedFile> file = MappedFile::open(path);
    if (!file)
      return Error{file.error()};
    std::span<const uint8_t> bytes = file->bytes();
    Result<Family> family = parseFamily(
        path, {reinterpret_cast<const char *>(bytes.data()), bytes.size()});
    if (!family)
      return Error{family.error()};
    for (const auto *names : {&family->modelTypes, &family->architectures})
      for (const std::string &claimed : *names)
        if (auto [place, isNew] = claims.emplace(claimed, path); !isNew)
          return Error{path +
                       ": expected each model type and architecture in "
                       "one family, found " +
                       quote(claimed) + " in " + place->second + " too"};
    families.push_back(*std::move(family));
  }
  return families;
}

Result<std::string> installedFamilies(const std::string &program) {
  std::error_code code;
  // Behind links is where it was built or installed.
  std::filesystem::path file = std::filesystem::canonical(program, code);
  if (code)
    return Error{program +
                 ": expected a program, to find families beside it, "
                 "found none: " +
                 code.message()};
  std::filesystem::path folder =
      file.parent_path().parent_path() / "share" / "moec" / "families";
  if (!std::filesystem::is_directory(folder, code))
    return Error{folder.string() +
                 ": expected the families that come with the program, found no "
                 "such folder"};
  return folder.string();
}

/// Levenshtein distance of two texts, of which names from outside are cut.
static size_t editDistance(std::string_view from, std::string_view to) {
  from = from.substr(0, 100);
  std::vector<size_t> row(to.size() + 1);
  std::iota(row.begin(), row.end(), size_t(0));
  for (size_t i = 0; i < from.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i + 1);
    for (size_t j = 0; j < to.size(); ++j)
      diagonal =
          std::exchange(row[j + 1], std::min({row[j + 1] + 1, row[j] + 1,
                                              diagonal + (from[i] != to[j])}));
  }
  return row.back();
}

Result<const Family *> selectFamily(const std::string &name,
                                    const JsonValue &config,
                                    const std::vector<Family> &families) {
  if (config.kind != JsonValue::Kind::Object)
    return Error{name + ": expected an object, found " + describe(config)};
  // What the config claims to be.
  std::vector<std::string> claims;
  if (const JsonValue *type = config.member("model_type")) {
    if (type->kind != JsonValue::Kind::String)
      return Error{name + ": expected a text for model_type, found " +
                   describe(*type)};
    claims.push_back(type->string);
  }
  if (const JsonValue *architectures = config.member("architectures"))
    for (const JsonValue &item : architectures->items)
      if (item.kind == JsonValue::Kind::String && claims.size() < 8)
        claims.push_back(item.string);
  if (claims.empty())
    return Error{name +
                 ": expected model_type or architectures, found neither"};

  const Family *selected = nullptr;
  std::string selectedBy;
  for (const std::string &claim : claims) {
    for (const Family &family : families) {
      bool fits = std::count(family.modelTypes.begin(), family.modelTypes.end(),
                             claim) ||
                  std::count(family.architectures.begin(),
                             family.architectures.end(), claim);
      if (!fits || selected == &family)
        continue;
      if (selected)
        return Error{name + ": expected one family, found " +
                     quote(selectedBy) + " of " + selected->name + " and " +
                     quote(claim) + " of " + family.name};
      selected = &family;
      selectedBy = claim;
    }
  }
  if (selected)
    return selected;

  const Family *nearest = nullptr;
  size_t least = 0;
  for (const Family &family : families)
    for (const auto *names : {&family.modelTypes, &family.architectures})
      for (const std::string &known : *names)
        for (const std::string &claim : claims)
          if (size_t distance = editDistance(claim, known);
              !nearest || distance < least) {
            nearest = &family;
            least = distance;
          }
  return Error{
      name + ": expected a model of a known family (" +
      list(families, [](const Family &f) { return f.name; }) + "), found " +
      list(claims, [](const std::string &claim) { return quote(claim); }) +
      (nearest ? "; the nearest is " + nearest->name : "")};
}

} // namespace moec::frontend
