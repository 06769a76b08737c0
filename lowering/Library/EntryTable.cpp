// Emits the tables and functions of moert/abi.h.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/Library/EntryTable.h"

#include "moert/abi.h"
#include "llvm/IR/DataLayout.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;
using namespace moec::lowering;

namespace {
/// A field of a struct of moert/abi.h: its place among the fields, and where C has it.
struct Field {
  StringLiteral structure;
  StringLiteral name;
  unsigned index;
  size_t offset;
};
#define FIELD(structure, index, name)                                          \
  Field { #structure, #name, index, offsetof(structure, name) }
constexpr Field fields[] = {
    FIELD(moert_argument, 0, name), FIELD(moert_argument, 1, code),
    FIELD(moert_argument, 2, bits), FIELD(moert_argument, 3, role),
    FIELD(moert_argument, 4, rank), FIELD(moert_argument, 5, shape),
    FIELD(moert_argument, 6, contiguous),
    FIELD(moert_entry, 0, size),    FIELD(moert_entry, 1, count),
    FIELD(moert_entry, 2, name),    FIELD(moert_entry, 3, arguments),
    FIELD(moert_entry, 4, variants), FIELD(moert_entry, 5, variant_count),
    FIELD(moert_variant, 0, name),   FIELD(moert_variant, 1, features),
    FIELD(moert_variant, 2, kernel), FIELD(moert_variant, 3, workspace),
};
#undef FIELD

/// The structs as LLVM has them.
struct Structures {
  explicit Structures(LLVMContext &context) {
    auto *pointer = PointerType::getUnqual(context);
    auto *i8 = Type::getInt8Ty(context);
    auto *i32 = Type::getInt32Ty(context);
    auto *shape = ArrayType::get(Type::getInt64Ty(context), MOERT_MAX_RANK);
    argument = get("moert_argument", {pointer, i8, i8, i8, i8, shape, i8});
    entry = get("moert_entry", {i32, i32, pointer, pointer, pointer, i32});
    variant = get("moert_variant",
                  {pointer, Type::getInt64Ty(context), pointer, pointer});
  }
  /// One type for all tables of a module.
  static StructType *get(StringRef name, ArrayRef<Type *> fields) {
    LLVMContext &context = fields.front()->getContext();
    StructType *known = StructType::getTypeByName(context, name);
    return known ? known : StructType::create(context, fields, name);
  }
  StructType *of(const Field &field) const {
    return field.structure == "moert_entry"     ? entry
           : field.structure == "moert_variant" ? variant
                                                : argument;
  }

  StructType *argument;
  StructType *entry;
  StructType *variant;
};

/// Builds the tables of one module.
class TableBuilder {
public:
  explicit TableBuilder(Module &module)
      : module(module), context(module.getContext()), builder(context),
        structures(context), pointer(PointerType::getUnqual(context)),
        i32(Type::getInt32Ty(context)), i64(Type::getInt64Ty(context)) {}

  Error checkLayout() {
    const DataLayout &layout = module.getDataLayout();
    auto differs = [&](StructType *type, size_t size) {
      return layout.getTypeAllocSize(type) != size;
    };
    bool isWrong = differs(structures.argument, sizeof(moert_argument)) ||
                   differs(structures.entry, sizeof(moert_entry)) ||
                   differs(structures.variant, sizeof(moert_variant));
    for (const Field &field : fields)
      isWrong |= layout.getStructLayout(structures.of(field))
                     ->getElementOffset(field.index) != field.offset;
    if (isWrong)
      return createStringError("target " + module.getTargetTriple().str() +
                               " lays out the structs of moert/abi.h in "
                               "another way than this machine");
    return Error::success();
  }

  /// Leaves nothing visible but what comes after.
  void hideAll() {
    for (Function &function : module)
      if (!function.isDeclaration())
        function.setLinkage(GlobalValue::InternalLinkage);
    for (GlobalVariable &global : module.globals())
      if (!global.isDeclaration() && !global.hasLocalLinkage())
        global.setLinkage(GlobalValue::InternalLinkage);
  }

  /// The packed functions of one variant, for tables in this module or another.
  Error addVariant(const Entry &entry, StringRef variant) {
    if (Error error = addKernel(entry, variant))
      return error;
    return addQuery(entry, variant);
  }

  void addEntry(const Entry &entry, ArrayRef<Variant> variants) {
    Constant *table = addTable(entry, variants);

    // moec_<name>(call, args, count) and moec_<name>_workspace(call, args, count, bytes).
    addForwarder("moec_" + entry.name, "moert_entry_call", table,
                 {pointer, pointer, i32});
    addForwarder("moec_" + entry.name + "_workspace", "moert_entry_workspace",
                 table, {pointer, pointer, i32, pointer});
  }

  void addLibraryFunctions(StringRef manifest) {
    startExported("moec_manifest", pointer, {});
    builder.CreateRet(addString("manifest", manifest));
    startExported("moec_abi_version", i32, {});
    builder.CreateRet(builder.getInt32(MOERT_ABI_VERSION));
  }

private:
  Function *startFunction(const Twine &name, Type *result,
                          ArrayRef<Type *> parameters) {
    auto *function =
        Function::Create(FunctionType::get(result, parameters, false),
                         GlobalValue::ExternalLinkage, name, module);
    function->addFnAttr(Attribute::NoUnwind);
    builder.SetInsertPoint(BasicBlock::Create(context, "", function));
    return function;
  }

  /// What callers see runs before a variant is chosen, so on any CPU.
  Function *startExported(const Twine &name, Type *result,
                          ArrayRef<Type *> parameters) {
    Function *function = startFunction(name, result, parameters);
    if (module.getTargetTriple().getArch() == Triple::x86_64)
      function->addFnAttr("target-cpu", "x86-64");
    return function;
  }

  Constant *addConstant(const Twine &name, Constant *value) {
    auto *global =
        new GlobalVariable(module, value->getType(), /*isConstant=*/true,
                           GlobalValue::InternalLinkage, value, name);
    return global;
  }
  Constant *addString(const Twine &name, StringRef text) {
    return addConstant("moec." + name,
                       ConstantDataArray::getString(context, text));
  }

  /// The C wrapper of a compiled function, which may take an executor behind its other parameters.
  Expected<Function *> wrapperOf(StringRef name, unsigned parameters,
                                 bool mayTakeExecutor = false) {
    std::string wrapper = ("_mlir_ciface_" + entryPrefix + name).str();
    Function *function = module.getFunction(wrapper);
    if (!function || function->isDeclaration() ||
        (function->arg_size() != parameters &&
         !(mayTakeExecutor && function->arg_size() == parameters + 1)))
      return createStringError("expected a function " + wrapper + " of " +
                               Twine(parameters) + " parameters");
    return function;
  }

  /// Calls a wrapper with the first of an array of pointers.
  Value *callWrapper(Function *wrapper, Value *descriptors) {
    SmallVector<Value *> arguments;
    for (unsigned i = 0; i < wrapper->arg_size(); ++i)
      arguments.push_back(loadPointer(descriptors, i));
    return builder.CreateCall(wrapper, arguments);
  }
  Value *loadPointer(Value *descriptors, unsigned index) {
    return builder.CreateLoad(pointer, builder.CreateConstInBoundsGEP1_64(
                                           pointer, descriptors, index));
  }

  /// "moec.kernel.layer.x86-64-v3"
  static std::string symbolOf(StringRef kind, const Entry &entry,
                              StringRef variant) {
    return ("moec." + kind + "." + entry.name + "." + variant).str();
  }

  /// A function of a variant, hidden but for the library's own tables.
  Function *startHidden(const Twine &name) {
    Function *function = startFunction(name, builder.getVoidTy(), {pointer});
    function->setVisibility(GlobalValue::HiddenVisibility);
    return function;
  }

  /// The same seen from the tables: of this module, which then keeps it to itself, or of another.
  Function *findHidden(const Twine &name) {
    if (Function *function = module.getFunction(name.str())) {
      function->setVisibility(GlobalValue::DefaultVisibility);
      function->setLinkage(GlobalValue::InternalLinkage);
      return function;
    }
    auto *function = Function::Create(
        FunctionType::get(builder.getVoidTy(), {pointer}, false),
        GlobalValue::ExternalLinkage, name, module);
    function->setVisibility(GlobalValue::HiddenVisibility);
    return function;
  }

  /// void kernel(void **descriptors): arguments, then the workspace, then the executor.
  Error addKernel(const Entry &entry, StringRef variant) {
    unsigned count = entry.arguments.size() + 1;
    Expected<Function *> wrapper =
        wrapperOf(entry.name, count, /*mayTakeExecutor=*/true);
    if (!wrapper)
      return wrapper.takeError();
    Function *kernel = startHidden(symbolOf("kernel", entry, variant));
    callWrapper(*wrapper, kernel->getArg(0));
    builder.CreateRetVoid();
    return Error::success();
  }

  /// void workspace(void **descriptors): arguments, then an int64_t *.
  Error addQuery(const Entry &entry, StringRef variant) {
    unsigned count = entry.arguments.size();
    Expected<Function *> wrapper = wrapperOf(entry.name + "_workspace", count);
    if (!wrapper)
      return wrapper.takeError();
    if ((*wrapper)->getReturnType() != i64)
      return createStringError((*wrapper)->getName() +
                               " was expected to return i64");
    Function *query = startHidden(symbolOf("workspace", entry, variant));
    Value *bytes = callWrapper(*wrapper, query->getArg(0));
    builder.CreateStore(bytes, loadPointer(query->getArg(0), count));
    builder.CreateRetVoid();
    return Error::success();
  }

  Constant *addTable(const Entry &entry, ArrayRef<Variant> variants) {
    SmallVector<Constant *> arguments;
    for (const EntryArgument &argument : entry.arguments) {
      SmallVector<uint64_t> shape(argument.shape.begin(), argument.shape.end());
      shape.resize(MOERT_MAX_RANK, 0);
      arguments.push_back(ConstantStruct::get(
          structures.argument, {addString("name", argument.name),
                                builder.getInt8(argument.type.code),
                                builder.getInt8(argument.type.bits),
                                builder.getInt8(uint8_t(argument.role)),
                                builder.getInt8(argument.shape.size()),
                                ConstantDataArray::get(context, shape),
                                builder.getInt8(argument.isContiguous)}));
    }
    Constant *array = addConstant(
        "moec.arguments." + entry.name,
        ConstantArray::get(
            ArrayType::get(structures.argument, arguments.size()), arguments));
    SmallVector<Constant *> rows;
    for (const Variant &variant : variants)
      rows.push_back(ConstantStruct::get(
          structures.variant,
          {addString("isa", variant.name), builder.getInt64(variant.features),
           findHidden(symbolOf("kernel", entry, variant.name)),
           findHidden(symbolOf("workspace", entry, variant.name))}));
    Constant *variantArray = addConstant(
        "moec.variants." + entry.name,
        ConstantArray::get(ArrayType::get(structures.variant, rows.size()),
                           rows));
    std::string symbol = "moec_" + entry.name;
    return addConstant(
        "moec.entry." + entry.name,
        ConstantStruct::get(structures.entry,
                            {builder.getInt32(sizeof(moert_entry)),
                             builder.getInt32(arguments.size()),
                             addString("name", symbol), array, variantArray,
                             builder.getInt32(rows.size())}));
  }

  /// int32_t name(parameters...) { return target(table, parameters...); }
  void addForwarder(const Twine &name, StringRef target, Constant *table,
                    ArrayRef<Type *> parameters) {
    SmallVector<Type *> types{pointer};
    append_range(types, parameters);
    FunctionCallee callee = module.getOrInsertFunction(
        target, FunctionType::get(i32, types, false));
    auto *callable = cast<Function>(callee.getCallee());
    callable->setVisibility(GlobalValue::HiddenVisibility);
    callable->addFnAttr(Attribute::NoUnwind);
    Function *function = startExported(name, i32, parameters);
    SmallVector<Value *> arguments{table};
    for (Argument &argument : function->args())
      arguments.push_back(&argument);
    builder.CreateRet(builder.CreateCall(callee, arguments));
  }

  Module &module;
  LLVMContext &context;
  IRBuilder<> builder;
  Structures structures;
  PointerType *pointer;
  Type *i32;
  Type *i64;
};
} // namespace

Error moec::lowering::addVariantFunctions(Module &module,
                                          ArrayRef<Entry> entries,
                                          StringRef variant) {
  TableBuilder table(module);
  table.hideAll();
  for (const Entry &entry : entries)
    if (Error error = table.addVariant(entry, variant))
      return error;
  return Error::success();
}

Error moec::lowering::addEntryTable(Module &module, ArrayRef<Entry> entries,
                                    ArrayRef<Variant> variants,
                                    StringRef manifest) {
  TableBuilder table(module);
  if (Error error = table.checkLayout())
    return error;
  for (const Entry &entry : entries)
    table.addEntry(entry, variants);
  table.addLibraryFunctions(manifest);
  return Error::success();
}

void moec::lowering::printEntryTableLayout(raw_ostream &os) {
  LLVMContext context;
  Structures structures(context);
  // The natural alignments of 64-bit machines, which the targets share.
  DataLayout layout("e-p:64:64-i64:64");
  for (const Field &field : fields)
    os << field.structure << "." << field.name << " "
       << layout.getStructLayout(structures.of(field))
              ->getElementOffset(field.index)
       << "\n";
  os << "moert_argument " << layout.getTypeAllocSize(structures.argument)
     << "\nmoert_entry " << layout.getTypeAllocSize(structures.entry)
     << "\nmoert_variant " << layout.getTypeAllocSize(structures.variant)
     << "\n";
}
