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
    FIELD(moert_entry, 0, size),    FIELD(moert_entry, 1, count),
    FIELD(moert_entry, 2, name),    FIELD(moert_entry, 3, arguments),
    FIELD(moert_entry, 4, kernel),  FIELD(moert_entry, 5, workspace),
};
#undef FIELD

/// The structs as LLVM has them.
struct Structures {
  explicit Structures(LLVMContext &context) {
    auto *pointer = PointerType::getUnqual(context);
    auto *i8 = Type::getInt8Ty(context);
    auto *i32 = Type::getInt32Ty(context);
    auto *shape = ArrayType::get(Type::getInt64Ty(context), MOERT_MAX_RANK);
    argument =
        StructType::create("moert_argument", pointer, i8, i8, i8, i8, shape);
    entry = StructType::create("moert_entry", i32, i32, pointer, pointer,
                               pointer, pointer);
  }
  StructType *of(const Field &field) const {
    return field.structure == "moert_entry" ? entry : argument;
  }

  StructType *argument;
  StructType *entry;
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
                   differs(structures.entry, sizeof(moert_entry));
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

  Error addEntry(const Entry &entry) {
    Expected<Function *> kernel = addKernel(entry);
    if (!kernel)
      return kernel.takeError();
    Expected<Function *> query = addQuery(entry);
    if (!query)
      return query.takeError();
    Constant *table = addTable(entry, *kernel, *query);

    // moec_<name>(call, args, count) and moec_<name>_workspace(call, args, count, bytes).
    addForwarder("moec_" + entry.name, "moert_entry_call", table,
                 {pointer, pointer, i32});
    addForwarder("moec_" + entry.name + "_workspace", "moert_entry_workspace",
                 table, {pointer, pointer, i32, pointer});
    return Error::success();
  }

  void addLibraryFunctions(StringRef manifest) {
    startFunction("moec_manifest", pointer, {});
    builder.CreateRet(addString("manifest", manifest));
    startFunction("moec_abi_version", i32, {});
    builder.CreateRet(builder.getInt32(MOERT_ABI_VERSION));
  }

private:
  Function *startFunction(
      const Twine &name, Type *result, ArrayRef<Type *> parameters,
      GlobalValue::LinkageTypes linkage = GlobalValue::ExternalLinkage) {
    auto *function = Function::Create(
        FunctionType::get(result, parameters, false), linkage, name, module);
    function->addFnAttr(Attribute::NoUnwind);
    builder.SetInsertPoint(BasicBlock::Create(context, "", function));
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

  /// void kernel(void **descriptors): arguments, then the workspace, then the executor.
  Expected<Function *> addKernel(const Entry &entry) {
    unsigned count = entry.arguments.size() + 1;
    Expected<Function *> wrapper =
        wrapperOf(entry.name, count, /*mayTakeExecutor=*/true);
    if (!wrapper)
      return wrapper.takeError();
    Function *kernel =
        startFunction("moec.kernel." + entry.name, builder.getVoidTy(),
                      {pointer}, GlobalValue::InternalLinkage);
    callWrapper(*wrapper, kernel->getArg(0));
    builder.CreateRetVoid();
    return kernel;
  }

  /// void workspace(void **descriptors): arguments, then an int64_t *.
  Expected<Function *> addQuery(const Entry &entry) {
    unsigned count = entry.arguments.size();
    Expected<Function *> wrapper = wrapperOf(entry.name + "_workspace", count);
    if (!wrapper)
      return wrapper.takeError();
    if ((*wrapper)->getReturnType() != i64)
      return createStringError((*wrapper)->getName() +
                               " was expected to return i64");
    Function *query =
        startFunction("moec.workspace." + entry.name, builder.getVoidTy(),
                      {pointer}, GlobalValue::InternalLinkage);
    Value *bytes = callWrapper(*wrapper, query->getArg(0));
    builder.CreateStore(bytes, loadPointer(query->getArg(0), count));
    builder.CreateRetVoid();
    return query;
  }

  Constant *addTable(const Entry &entry, Function *kernel, Function *query) {
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
                                ConstantDataArray::get(context, shape)}));
    }
    Constant *array = addConstant(
        "moec.arguments." + entry.name,
        ConstantArray::get(
            ArrayType::get(structures.argument, arguments.size()), arguments));
    std::string symbol = "moec_" + entry.name;
    return addConstant(
        "moec.entry." + entry.name,
        ConstantStruct::get(structures.entry,
                            {builder.getInt32(sizeof(moert_entry)),
                             builder.getInt32(arguments.size()),
                             addString("name", symbol), array, kernel, query}));
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
    Function *function = startFunction(name, i32, parameters);
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

Error moec::lowering::addEntryTable(Module &module, ArrayRef<Entry> entries,
                                    StringRef manifest) {
  TableBuilder table(module);
  if (Error error = table.checkLayout())
    return error;
  table.hideAll();
  for (const Entry &entry : entries)
    if (Error error = table.addEntry(entry))
      return error;
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
     << "\nmoert_entry " << layout.getTypeAllocSize(structures.entry) << "\n";
}
