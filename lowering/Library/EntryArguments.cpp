// The attribute `moec.arguments`.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/Library/EntryArguments.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/Diagnostics.h"
#include "moert/abi.h"

using namespace mlir;
using namespace moec::lowering;

static constexpr llvm::StringLiteral attributeName = "moec.arguments";

/// DLPack's code of booleans; dlpack.h names the codes that kernels compute with.
static constexpr uint8_t boolCode = 6;

static constexpr EntryElementType elementTypes[] = {
    {"float64", kDLFloat, 64}, {"float32", kDLFloat, 32},
    {"float16", kDLFloat, 16}, {"bfloat16", kDLBfloat, 16},
    {"int64", kDLInt, 64},     {"int32", kDLInt, 32},
    {"int8", kDLInt, 8},       {"bool", boolCode, 8}};

static std::optional<EntryElementType> entryElementType(StringRef name) {
  for (const EntryElementType &type : elementTypes)
    if (type.name == name)
      return type;
  return std::nullopt;
}

std::optional<EntryElementType>
moec::lowering::entryElementType(mlir::Type type) {
  uint8_t code, bits = type.isIntOrFloat() ? type.getIntOrFloatBitWidth() : 0;
  if (type.isBF16())
    code = kDLBfloat;
  else if (type.isF16() || type.isF32() || type.isF64())
    code = kDLFloat;
  else if (type.isSignlessInteger(1))
    code = boolCode, bits = 8;
  else if (type.isSignlessInteger())
    code = kDLInt;
  else
    return std::nullopt;
  for (const EntryElementType &known : elementTypes)
    if (known.code == code && known.bits == bits)
      return known;
  return std::nullopt;
}

static constexpr StringLiteral roleNames[] = {"input", "output", "binding"};
static_assert(unsigned(EntryRole::input) == MOERT_INPUT &&
              unsigned(EntryRole::output) == MOERT_OUTPUT &&
              unsigned(EntryRole::binding) == MOERT_BINDING);

StringRef moec::lowering::entryRoleName(EntryRole role) {
  return roleNames[unsigned(role)];
}

bool moec::lowering::hasEntryArguments(Operation *function) {
  return function->hasAttr(attributeName);
}

SmallVector<func::FuncOp> moec::lowering::findEntries(ModuleOp module) {
  SmallVector<func::FuncOp> entries;
  for (auto function : module.getOps<func::FuncOp>())
    if (hasEntryArguments(function) && !function.isExternal())
      entries.push_back(function);
  return entries;
}

StringRef moec::lowering::entryNameOf(func::FuncOp entry) {
  StringRef name = entry.getSymName();
  name.consume_front(entryPrefix);
  return name;
}

void moec::lowering::setEntryArguments(Operation *function,
                                       ArrayRef<EntryArgument> arguments) {
  Builder builder(function->getContext());
  SmallVector<Attribute> dictionaries;
  for (const EntryArgument &argument : arguments) {
    NamedAttrList attributes;
    attributes.append("dtype", builder.getStringAttr(argument.type.name));
    attributes.append("name", builder.getStringAttr(argument.name));
    attributes.append("role",
                      builder.getStringAttr(entryRoleName(argument.role)));
    attributes.append("shape", builder.getDenseI64ArrayAttr(argument.shape));
    if (argument.below)
      attributes.append("below", builder.getI64IntegerAttr(argument.below));
    if (argument.isContiguous)
      attributes.append("contiguous", builder.getUnitAttr());
    if (argument.isPaged)
      attributes.append("paged", builder.getUnitAttr());
    dictionaries.push_back(attributes.getDictionary(function->getContext()));
  }
  function->setAttr(attributeName, builder.getArrayAttr(dictionaries));
}

FailureOr<SmallVector<EntryArgument>>
moec::lowering::getEntryArguments(Operation *function) {
  auto fail = [&](const Twine &message) {
    return function->emitError(attributeName) << ": " << message;
  };
  auto array = function->getAttrOfType<ArrayAttr>(attributeName);
  if (!array)
    return fail("expected an array, as moe-export-entries makes it");
  SmallVector<EntryArgument> arguments;
  for (auto [i, attribute] : llvm::enumerate(array)) {
    auto dictionary = dyn_cast<DictionaryAttr>(attribute);
    if (!dictionary)
      return fail("expected dictionaries, found another attribute at " +
                  Twine(i));
    auto name = dictionary.getAs<StringAttr>("name");
    auto dtype = dictionary.getAs<StringAttr>("dtype");
    auto role = dictionary.getAs<StringAttr>("role");
    auto shape = dictionary.getAs<DenseI64ArrayAttr>("shape");
    auto below = dictionary.getAs<IntegerAttr>("below");
    if (!name || !dtype || !role || !shape)
      return fail("expected name, dtype, role and shape in argument " +
                  Twine(i));
    std::optional<EntryElementType> type = ::entryElementType(dtype.getValue());
    const auto *roleName = llvm::find(roleNames, role.getValue());
    if (!type || roleName == std::end(roleNames) ||
        shape.size() > MOERT_MAX_RANK)
      return fail("found dtype " + dtype.getValue() + ", role " +
                  role.getValue() + " and rank " + Twine(shape.size()) +
                  " in argument " + Twine(i));
    arguments.push_back(
        {name.str(), *type, SmallVector<int64_t>(shape.asArrayRef()),
         EntryRole(roleName - std::begin(roleNames)),
         below ? below.getInt() : 0, dictionary.contains("contiguous"),
         dictionary.contains("paged")});
  }
  if (arguments.size() > MOERT_MAX_ARGUMENTS)
    return fail("expected at most " + Twine(MOERT_MAX_ARGUMENTS) +
                " arguments, found " + Twine(arguments.size()));
  return arguments;
}
