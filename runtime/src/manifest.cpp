// The manifest of an artifact: docs/artifact.md as a checked structure.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "manifest.h"

#include "weights/Json.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <set>

namespace moec::runtime {

using weights::JsonValue;

namespace {

/// Versions of the manifest that this reader knows: 0.x.
constexpr uint32_t manifestMajor = 0;
constexpr size_t mostEntries = 4096;
constexpr size_t mostLayers = 65536;

struct TypeRow {
  const char *name;
  uint8_t code;
  uint8_t bits;
};

constexpr TypeRow types[] = {
    {"float64", kDLFloat, 64}, {"float32", kDLFloat, 32},
    {"float16", kDLFloat, 16}, {"bfloat16", kDLBfloat, 16},
    {"int64", kDLInt, 64},     {"int32", kDLInt, 32},
    {"int8", kDLInt, 8},       {"bool", kDLBool, 8}};

/// Walks the document and keeps the first error.
class ManifestReader {
public:
  explicit ManifestReader(std::string &error) : error(error) {}

  moert_status_t read(const JsonValue &root, Manifest &manifest) {
    if (root.kind != JsonValue::Kind::Object)
      return fail("expected an object");
    uint32_t version = 0;
    if (moert_status_t status = readVersion(root, "moec_manifest", version))
      return status;
    if (version >> 16 != manifestMajor)
      return fail("expected version " + std::to_string(manifestMajor) +
                  ".x, found " + versionName(version));
    if (moert_status_t status = readVersion(root, "abi", manifest.abiVersion))
      return status;
    const JsonValue *entries = root.member("entries");
    if (!entries || entries->kind != JsonValue::Kind::Array ||
        entries->items.size() > mostEntries)
      return fail("expected an array 'entries' of at most " +
                  std::to_string(mostEntries));
    std::set<std::string> names;
    for (const JsonValue &value : entries->items) {
      ManifestEntry entry;
      if (moert_status_t status = readEntry(value, entry))
        return status;
      if (!names.insert(entry.name).second)
        return fail("expected each entry once, found '" + entry.name +
                    "' twice");
      manifest.entries.push_back(std::move(entry));
    }
    if (moert_status_t status = readLayers(root, manifest))
      return status;
    if (root.member("device")) {
      std::optional<std::string> name = text(root, "device");
      if (!name || (*name != "cpu" && *name != "cuda"))
        return fail("expected device cpu or cuda, found " +
                    (name ? "'" + *name + "'" : std::string("no name")));
      manifest.device = *name == "cuda" ? kDLCUDA : kDLCPU;
    }
    // Vectors have moved for the last time: names can be pointed to.
    for (ManifestEntry &entry : manifest.entries)
      for (ManifestArgument &argument : entry.arguments)
        argument.description.name = argument.name.c_str();
    return MOERT_OK;
  }

private:
  moert_status_t fail(const std::string &message) {
    error = "manifest: " + message;
    return MOERT_INCOMPATIBLE;
  }

  static std::optional<std::string> text(const JsonValue &object,
                                         const char *key) {
    const JsonValue *value = object.member(key);
    if (!value || value->kind != JsonValue::Kind::String)
      return std::nullopt;
    std::string result = value->string;
    // Names go out as C strings.
    if (result.empty() || result.find('\0') != std::string::npos)
      return std::nullopt;
    return result;
  }

  moert_status_t readVersion(const JsonValue &root, const char *key,
                             uint32_t &version) {
    std::optional<std::string> value = text(root, key);
    uint16_t major = 0, minor = 0;
    if (value) {
      const char *end = value->data() + value->size();
      auto [dot, code] = std::from_chars(value->data(), end, major);
      if (code == std::errc() && dot != end && *dot == '.') {
        auto [stop, rest] = std::from_chars(dot + 1, end, minor);
        if (rest == std::errc() && stop == end) {
          version = uint32_t(major) << 16 | minor;
          return MOERT_OK;
        }
      }
    }
    return fail("expected '" + std::string(key) +
                "' to be \"MAJOR.MINOR\", found " +
                (value ? "'" + *value + "'" : std::string("none")));
  }

  moert_status_t readEntry(const JsonValue &value, ManifestEntry &entry) {
    if (value.kind != JsonValue::Kind::Object)
      return fail("expected an object for each entry");
    std::optional<std::string> name = text(value, "name");
    std::optional<std::string> symbol = text(value, "symbol");
    if (!name || !symbol)
      return fail("expected strings 'name' and 'symbol' for each entry");
    entry.name = *name;
    entry.symbol = *symbol;
    if (entry.symbol != "moec_" + entry.name)
      return fail("entry '" + entry.name + "': expected symbol moec_" +
                  entry.name + ", found " + entry.symbol);
    if (const JsonValue *exchanges = value.member("exchanges")) {
      if (exchanges->kind != JsonValue::Kind::Boolean)
        return fail("entry '" + entry.name +
                    "': expected 'exchanges' to be true or false");
      entry.exchanges = exchanges->boolean;
    }
    const JsonValue *arguments = value.member("arguments");
    if (!arguments || arguments->kind != JsonValue::Kind::Array ||
        arguments->items.size() > MOERT_MAX_ARGUMENTS)
      return fail("entry '" + entry.name +
                  "': expected an array 'arguments' of at most " +
                  std::to_string(MOERT_MAX_ARGUMENTS));
    std::set<std::string> names;
    for (const JsonValue &item : arguments->items) {
      ManifestArgument argument;
      if (moert_status_t status = readArgument(item, entry, argument))
        return status;
      if (!names.insert(argument.name).second)
        return fail("entry '" + entry.name +
                    "': expected each argument once, found '" + argument.name +
                    "' twice");
      if (argument.description.role != MOERT_OUTPUT &&
          !entry.arguments.empty() &&
          entry.arguments.back().description.role == MOERT_OUTPUT)
        return fail("entry '" + entry.name +
                    "': expected outputs last, found " +
                    (argument.description.role == MOERT_INPUT ? "input '"
                                                              : "binding '") +
                    argument.name + "' behind one");
      entry.arguments.push_back(std::move(argument));
    }
    return MOERT_OK;
  }

  moert_status_t readLayers(const JsonValue &root, Manifest &manifest) {
    const JsonValue *layers = root.member("layers");
    if (!layers)
      return MOERT_OK;
    if (layers->kind != JsonValue::Kind::Array ||
        layers->items.size() > mostLayers)
      return fail("expected an array 'layers' of at most " +
                  std::to_string(mostLayers));
    const JsonValue *weights = root.member("weights");
    std::optional<std::string> file, hash;
    if (weights && weights->kind == JsonValue::Kind::Object) {
      file = text(*weights, "file");
      hash = text(*weights, "layout_hash");
    }
    if (!file || !hash || file->find('/') != std::string::npos)
      return fail("expected 'weights' with a 'file' of the artifact and a "
                  "'layout_hash' beside 'layers'");
    manifest.weightsFile = *file;
    manifest.layoutHash = *hash;
    std::set<std::string> names;
    for (const JsonValue &value : layers->items) {
      ManifestLayer layer;
      if (moert_status_t status = readLayer(value, manifest, layer))
        return status;
      if (!names.insert(layer.name).second)
        return fail("expected each layer once, found '" + layer.name +
                    "' twice");
      manifest.layers.push_back(std::move(layer));
    }
    return MOERT_OK;
  }

  moert_status_t readLayer(const JsonValue &value, const Manifest &manifest,
                           ManifestLayer &layer) {
    std::optional<std::string> name, entry;
    const JsonValue *binding = nullptr;
    if (value.kind == JsonValue::Kind::Object) {
      name = text(value, "name");
      entry = text(value, "entry");
      binding = value.member("binding");
    }
    if (!name || !entry || !binding || binding->kind != JsonValue::Kind::Array)
      return fail("expected 'name', 'entry' and an array 'binding' for each "
                  "layer");
    layer.name = *name;
    std::string where = "layer '" + *name + "': ";
    auto known = std::find_if(manifest.entries.begin(), manifest.entries.end(),
                              [&](const ManifestEntry &candidate) {
                                return candidate.name == *entry;
                              });
    if (known == manifest.entries.end())
      return fail(where + "expected an entry of the library, found '" + *entry +
                  "'");
    layer.entry = size_t(known - manifest.entries.begin());
    for (const JsonValue &item : binding->items) {
      std::optional<std::string> argument, tensor, part;
      if (item.kind == JsonValue::Kind::Object) {
        argument = text(item, "argument");
        tensor = text(item, "tensor");
        part = text(item, "part");
      }
      if (!argument || !tensor || !part)
        return fail(where + "expected 'argument', 'tensor' and 'part' for each "
                            "binding");
      layer.binding.push_back({*argument, *tensor, *part});
    }
    if (moert_status_t status = checkBinding(*known, layer, where))
      return status;
    return findPagedClusters(*known, layer, where);
  }

  /// Whether a layer binds each of the entry's arguments, with a part that
  /// fits.
  moert_status_t checkBinding(const ManifestEntry &entry,
                              const ManifestLayer &layer,
                              const std::string &where) {
    size_t next = 0;
    for (const ManifestArgument &argument : entry.arguments) {
      if (argument.description.role != MOERT_BINDING)
        continue;
      if (next == layer.binding.size() ||
          layer.binding[next].argument != argument.name)
        return fail(where + "expected a binding of '" + argument.name +
                    "' at place " + std::to_string(next) + ", found " +
                    (next == layer.binding.size()
                         ? std::string("none")
                         : "'" + layer.binding[next].argument + "'"));
      const ManifestBound &bound = layer.binding[next];
      if ((bound.part == "table" || bound.part == "slots") !=
          (argument.below > 0))
        return fail(where + "expected 'below' of '" + argument.name +
                    "' for a table or slots alone, found part '" + bound.part +
                    "'");
      if (argument.isPaged && bound.tensor.find('*') == std::string::npos)
        return fail(where +
                    "expected a tensor for each cluster of the paged '" +
                    argument.name + "', found '" + bound.tensor + "'");
      ++next;
    }
    if (next != layer.binding.size())
      return fail(where + "expected " + std::to_string(next) +
                  " bindings, found " + std::to_string(layer.binding.size()));
    return MOERT_OK;
  }

  /// How many clusters a layer's paged pools are of: the slots of the same
  /// tensors say it.
  moert_status_t findPagedClusters(const ManifestEntry &entry,
                                   ManifestLayer &layer,
                                   const std::string &where) {
    std::map<std::string, int64_t> slots;
    forEachBound(entry, layer, [&](const auto &argument, const auto &bound) {
      if (bound.part == "slots" && argument.description.rank == 1)
        slots[bound.tensor] = argument.description.shape[0];
    });
    moert_status_t status = MOERT_OK;
    forEachBound(entry, layer, [&](const auto &argument, const auto &bound) {
      if (!argument.isPaged || status)
        return;
      int64_t clusters = slots[bound.tensor];
      if (clusters <= 0 ||
          (layer.pagedClusters && layer.pagedClusters != clusters))
        status =
            fail(where + "expected slots beside the paged '" + argument.name +
                 "', as many as all paged ones have, found " +
                 std::to_string(clusters));
      layer.pagedClusters = clusters;
    });
    return status;
  }

  moert_status_t readArgument(const JsonValue &value,
                              const ManifestEntry &entry,
                              ManifestArgument &argument) {
    std::string where = "entry '" + entry.name + "': ";
    if (value.kind != JsonValue::Kind::Object)
      return fail(where + "expected an object for each argument");
    std::optional<std::string> name = text(value, "name");
    if (!name)
      return fail(where + "expected a string 'name' for each argument");
    argument.name = *name;
    argument.description = {};
    where += "argument '" + *name + "': ";

    std::optional<std::string> type = text(value, "dtype");
    const TypeRow *row = std::find_if(
        std::begin(types), std::end(types),
        [&](const TypeRow &row) { return type && *type == row.name; });
    if (row == std::end(types))
      return fail(where + "expected a known dtype, found " +
                  (type ? "'" + *type + "'" : std::string("none")));
    argument.description.code = row->code;
    argument.description.bits = row->bits;

    std::optional<std::string> role = text(value, "role");
    constexpr const char *roles[] = {"input", "output", "binding"};
    auto known =
        std::find_if(std::begin(roles), std::end(roles),
                     [&](const char *name) { return role && *role == name; });
    if (known == std::end(roles))
      return fail(where + "expected role input, output or binding, found " +
                  (role ? "'" + *role + "'" : std::string("none")));
    argument.description.role = uint8_t(known - std::begin(roles));
    if (const JsonValue *below = value.member("below")) {
      if (below->kind != JsonValue::Kind::Integer || below->integer < 1 ||
          *type != "int32")
        return fail(where + "expected 'below' to be a positive integer, of an "
                            "argument of int32");
      argument.below = below->integer;
    }

    if (const JsonValue *paged = value.member("paged")) {
      if (paged->kind != JsonValue::Kind::Boolean)
        return fail(where + "expected 'paged' to be true or false");
      argument.isPaged = paged->boolean;
    }

    const JsonValue *shape = value.member("shape");
    if (!shape || shape->kind != JsonValue::Kind::Array ||
        shape->items.size() > MOERT_MAX_RANK)
      return fail(where + "expected an array 'shape' of at most " +
                  std::to_string(MOERT_MAX_RANK) + " extents");
    argument.description.rank = uint8_t(shape->items.size());
    for (size_t d = 0; d < shape->items.size(); ++d) {
      if (shape->items[d].kind != JsonValue::Kind::Integer)
        return fail(where + "expected integers in its shape");
      argument.description.shape[d] = shape->items[d].integer;
    }
    const moert_argument &made = argument.description;
    if (argument.isPaged && (made.role != MOERT_BINDING || made.rank == 0 ||
                             made.shape[0] != MOERT_DYNAMIC))
      return fail(where + "expected 'paged' of a binding alone whose first "
                          "extent is -1");
    return MOERT_OK;
  }

  std::string &error;
};

} // namespace

std::string versionName(uint32_t version) {
  return std::to_string(version >> 16) + "." + std::to_string(version & 0xFFFF);
}

moert_status_t parseManifest(std::string_view text, Manifest &manifest,
                             std::string &error) {
  // Its bytes bound the number of values enough.
  weights::Result<JsonValue> document =
      weights::parseJson("manifest", text, {.values = text.size()});
  if (!document) {
    error = document.error();
    return MOERT_INCOMPATIBLE;
  }
  return ManifestReader(error).read(*document, manifest);
}

} // namespace moec::runtime
