// What a module's kernels were compiled to, as an attribute.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/Library/DeviceCode.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace moec::lowering;

static constexpr llvm::StringLiteral attrName = "moec.device_code";

void moec::lowering::setDeviceCode(ModuleOp module, const TargetCode &code) {
  Builder builder(module.getContext());
  auto field = [&](StringRef name, Attribute value) {
    return builder.getNamedAttr(name, value);
  };
  SmallVector<Attribute> images, kernels;
  for (const DeviceCode::Image &image : code.code.images)
    images.push_back(builder.getDictionaryAttr(
        {field("content", builder.getStringAttr(image.content)),
         field("form", builder.getStringAttr(image.name))}));
  for (const DeviceCode::Kernel &kernel : code.code.kernels)
    kernels.push_back(builder.getDictionaryAttr(
        {field("cluster", builder.getI64IntegerAttr(kernel.cluster[0])),
         field("is_dependent", builder.getBoolAttr(kernel.isDependent)),
         field("name", builder.getStringAttr(kernel.name)),
         field("shared_bytes",
               builder.getI64IntegerAttr(kernel.sharedBytes))}));
  module->setAttr(
      attrName,
      builder.getDictionaryAttr(
          {field("capability", builder.getI64IntegerAttr(code.code.capability)),
           field("images", builder.getArrayAttr(images)),
           field("is_exact", builder.getBoolAttr(code.code.isExact)),
           field("kernels", builder.getArrayAttr(kernels)),
           field("target", builder.getStringAttr(code.target))}));
}

std::optional<TargetCode> moec::lowering::getDeviceCode(ModuleOp module) {
  auto recorded = module->getAttrOfType<DictionaryAttr>(attrName);
  if (!recorded)
    return std::nullopt;
  auto text = [](DictionaryAttr from, StringRef name) {
    return from.getAs<StringAttr>(name).str();
  };
  auto number = [](DictionaryAttr from, StringRef name) {
    return from.getAs<IntegerAttr>(name).getInt();
  };
  TargetCode result;
  result.target = text(recorded, "target");
  result.code.capability = static_cast<int32_t>(number(recorded, "capability"));
  result.code.isExact = recorded.getAs<BoolAttr>("is_exact").getValue();
  for (auto image :
       recorded.getAs<ArrayAttr>("images").getAsRange<DictionaryAttr>())
    result.code.images.push_back({text(image, "form"), text(image, "content")});
  for (auto kernel :
       recorded.getAs<ArrayAttr>("kernels").getAsRange<DictionaryAttr>()) {
    DeviceCode::Kernel &added = result.code.kernels.emplace_back();
    added.name = text(kernel, "name");
    added.sharedBytes = static_cast<uint32_t>(number(kernel, "shared_bytes"));
    // All along x.
    if (auto blocks = static_cast<uint32_t>(number(kernel, "cluster")))
      added.cluster = {blocks, 1, 1};
    added.isDependent = kernel.getAs<BoolAttr>("is_dependent").getValue();
  }
  return result;
}
