// The manifest of a library: its entries as JSON.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/Library/EntryTable.h"

#include "moert/abi.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;
using namespace moec::lowering;

std::string moec::lowering::makeManifest(ArrayRef<Entry> entries,
                                         ArrayRef<Variant> variants,
                                         ArrayRef<Layer> layers,
                                         StringRef layoutHash,
                                         StringRef pipeline) {
  std::string text;
  raw_string_ostream os(text);
  json::OStream json(os, /*IndentSize=*/1);
  json.object([&] {
    json.attribute("moec_manifest", "0.1");
    json.attribute("abi", (Twine(MOERT_ABI_VERSION >> 16) + "." +
                           Twine(MOERT_ABI_VERSION & 0xFFFF))
                              .str());
    json.attribute("compiler", "moec " MOEC_VERSION);
    json.attribute("pipeline", pipeline);
    json.attributeArray("variants", [&] {
      for (const Variant &variant : variants)
        json.value(variant.name);
    });
    if (variants.front().hasDeviceCode)
      json.attribute("device", "cuda");
    json.attributeArray("entries", [&] {
      for (const Entry &entry : entries)
        json.object([&] {
          json.attribute("name", entry.name);
          json.attribute("symbol", "moec_" + entry.name);
          if (entry.exchanges)
            json.attribute("exchanges", true);
          json.attributeArray("arguments", [&] {
            for (const EntryArgument &argument : entry.arguments)
              json.object([&] {
                json.attribute("name", argument.name);
                json.attribute("dtype", argument.type.name);
                json.attributeArray("shape", [&] {
                  for (int64_t extent : argument.shape)
                    json.value(extent);
                });
                json.attribute("role", entryRoleName(argument.role));
                if (argument.below)
                  json.attribute("below", argument.below);
                if (argument.isPaged)
                  json.attribute("paged", true);
              });
          });
        });
    });
    if (layers.empty())
      return;
    json.attributeObject("weights", [&] {
      json.attribute("file", "weights.safetensors");
      json.attribute("layout_hash", layoutHash);
    });
    json.attributeArray("layers", [&] {
      for (const Layer &layer : layers)
        json.object([&] {
          json.attribute("name", layer.name);
          json.attribute("entry", layer.entry);
          json.attributeArray("binding", [&] {
            for (const Layer::Bound &bound : layer.binding)
              json.object([&] {
                json.attribute("argument", bound.argument);
                json.attribute("tensor", bound.tensor);
                json.attribute("part", bound.part);
              });
          });
        });
    });
  });
  os << "\n";
  return text;
}
