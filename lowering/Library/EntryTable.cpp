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
/// A field of a struct of moert/abi.h: its place among the fields, and where C
/// has it.
struct Field {
  StringLiteral structure;
  StringLiteral name;
  unsigned index;
  size_t offset;
};
#define FIELD(structure, index, name)                                          \
  Field { #structure, #name, index, offsetof(structure, name) }
constexpr Field fields[] = {
    FIELD(moert_argument, 0, name),
    FIELD(moert_argument, 1, code),
    FIELD(moert_argument, 2, bits),
    FIELD(moert_argument, 3, role),
    FIELD(moert_argument, 4, rank),
    FIELD(moert_argument, 5, shape),
    FIELD(moert_argument, 6, contiguous),
    FIELD(moert_argument, 7, alignment),
    FIELD(moert_entry, 0, size),
    FIELD(moert_entry, 1, count),
    FIELD(moert_entry, 2, name),
    FIELD(moert_entry, 3, arguments),
    FIELD(moert_entry, 4, variants),
    FIELD(moert_entry, 5, variant_count),
    FIELD(moert_variant, 0, name),
    FIELD(moert_variant, 1, features),
    FIELD(moert_variant, 2, kernel),
    FIELD(moert_variant, 3, workspace),
    FIELD(moert_variant, 4, device),
    FIELD(moert_device_image, 0, name),
    FIELD(moert_device_image, 1, image),
    FIELD(moert_device_image, 2, bytes),
    FIELD(moert_kernel_attributes, 0, cluster),
    FIELD(moert_kernel_attributes, 1, is_dependent),
    FIELD(moert_device_code, 0, size),
    FIELD(moert_device_code, 1, capability),
    FIELD(moert_device_code, 2, is_exact),
    FIELD(moert_device_code, 3, image_count),
    FIELD(moert_device_code, 4, images),
    FIELD(moert_device_code, 5, kernel_count),
    FIELD(moert_device_code, 6, kernel_names),
    FIELD(moert_device_code, 7, shared_bytes),
    FIELD(moert_device_code, 8, state),
    FIELD(moert_device_code, 9, runtime),
    FIELD(moert_device_code, 10, attributes),
};
#undef FIELD

/// The structs as LLVM has them.
struct Structures {
  explicit Structures(LLVMContext &context) {
    auto *pointer = PointerType::getUnqual(context);
    auto *i8 = Type::getInt8Ty(context);
    auto *i32 = Type::getInt32Ty(context);
    auto *shape = ArrayType::get(Type::getInt64Ty(context), MOERT_MAX_RANK);
    argument = get("moert_argument", {pointer, i8, i8, i8, i8, shape, i8, i32});
    entry = get("moert_entry", {i32, i32, pointer, pointer, pointer, i32});
    auto *i64 = Type::getInt64Ty(context);
    variant = get("moert_variant", {pointer, i64, pointer, pointer, pointer});
    deviceImage = get("moert_device_image", {pointer, pointer, i64});
    kernelAttributes =
        get("moert_kernel_attributes", {ArrayType::get(i32, 3), i32});
    deviceCode =
        get("moert_device_code", {i32, i32, i8, i32, pointer, i32, pointer,
                                  pointer, pointer, pointer, pointer});
  }
  /// One type for all tables of a module.
  static StructType *get(StringRef name, ArrayRef<Type *> fields) {
    LLVMContext &context = fields.front()->getContext();
    StructType *known = StructType::getTypeByName(context, name);
    return known ? known : StructType::create(context, fields, name);
  }
  StructType *of(const Field &field) const {
    for (const auto &[name, type, size] : all())
      if (field.structure == name)
        return type;
    llvm_unreachable("every field is of one of them");
  }

  /// What C calls them, and how large they are there.
  struct Named {
    StringLiteral name;
    StructType *type;
    size_t size;
  };
  std::array<Named, 6> all() const {
    return {{{"moert_argument", argument, sizeof(moert_argument)},
             {"moert_entry", entry, sizeof(moert_entry)},
             {"moert_variant", variant, sizeof(moert_variant)},
             {"moert_device_image", deviceImage, sizeof(moert_device_image)},
             {"moert_kernel_attributes", kernelAttributes,
              sizeof(moert_kernel_attributes)},
             {"moert_device_code", deviceCode, sizeof(moert_device_code)}}};
  }

  StructType *argument;
  StructType *entry;
  StructType *variant;
  StructType *deviceImage;
  StructType *kernelAttributes;
  StructType *deviceCode;
};

/// What kernels of devices load at once.
constexpr uint32_t deviceAlignment = 16;

/// Builds the tables of one module.
class TableBuilder {
public:
  explicit TableBuilder(Module &module)
      : module(module), context(module.getContext()), builder(context),
        structures(context), pointer(PointerType::getUnqual(context)),
        i32(Type::getInt32Ty(context)), i64(Type::getInt64Ty(context)) {}

  Error checkLayout() {
    const DataLayout &layout = module.getDataLayout();
    bool isWrong = false;
    for (const auto &[name, type, size] : structures.all())
      isWrong |= layout.getTypeAllocSize(type) != size;
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

  void addDeviceCode(StringRef variant, const DeviceCode &code) {
    SmallVector<Constant *> images, names, sharedBytes, attributes;
    for (const DeviceCode::Image &image : code.images) {
      // The NUL that ends PTX does not hurt a cubin.
      Constant *content = addString("image", image.content);
      // A cubin is an ELF file, whose parts are aligned from its start.
      cast<GlobalVariable>(content)->setAlignment(Align(64));
      images.push_back(ConstantStruct::get(
          structures.deviceImage,
          {addString("form", image.name), content,
           ConstantInt::get(i64, image.content.size() + 1)}));
    }
    for (const DeviceCode::Kernel &kernel : code.kernels) {
      names.push_back(addString("kernel", kernel.name));
      sharedBytes.push_back(builder.getInt32(kernel.sharedBytes));
      attributes.push_back(
          ConstantStruct::get(structures.kernelAttributes,
                              {ConstantDataArray::get(context, kernel.cluster),
                               builder.getInt32(kernel.isDependent)}));
    }
    auto *state = new GlobalVariable(
        module, pointer, /*isConstant=*/false, GlobalValue::InternalLinkage,
        ConstantPointerNull::get(pointer), "moec.state." + variant);
    auto *runtime = new GlobalVariable(
        module, builder.getInt8Ty(), /*isConstant=*/true,
        GlobalValue::ExternalLinkage, nullptr, "moert_cuda_runtime");
    runtime->setVisibility(GlobalValue::HiddenVisibility);
    GlobalVariable *device = findHiddenDevice(variant);
    device->setInitializer(ConstantStruct::get(
        structures.deviceCode,
        {builder.getInt32(sizeof(moert_device_code)),
         builder.getInt32(code.capability), builder.getInt8(code.isExact),
         builder.getInt32(images.size()),
         addArray("images", structures.deviceImage, images),
         builder.getInt32(names.size()), addArray("kernels", pointer, names),
         addArray("shared", i32, sharedBytes), state, runtime,
         addArray("attributes", structures.kernelAttributes, attributes)}));
  }

  void addEntry(const Entry &entry, ArrayRef<Variant> variants) {
    Constant *table = addTable(entry, variants);

    // moec_<name>(call, args, count) and moec_<name>_workspace(call, args,
    // count, bytes).
    addForwarder("moec_" + entry.name, "moert_entry_call", table,
                 {pointer, pointer, i32});
    addForwarder("moec_" + entry.name + "_workspace", "moert_entry_workspace",
                 table, {pointer, pointer, i32, pointer});
    // __tvm_ffi_<name>(handle, args, count, result), and the same for the workspace.
    addForwarder("__tvm_ffi_" + entry.name, "moert_entry_tvm_ffi", table,
                 {pointer, pointer, i32, pointer});
    addForwarder("__tvm_ffi_" + entry.name + "_workspace",
                 "moert_entry_tvm_ffi_workspace", table,
                 {pointer, pointer, i32, pointer});
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

  Constant *addArray(const Twine &name, Type *type,
                     ArrayRef<Constant *> elements) {
    return addConstant(
        "moec." + name,
        ConstantArray::get(ArrayType::get(type, elements.size()), elements));
  }

  /// Device code of a variant, of this module or another.
  GlobalVariable *findHiddenDevice(StringRef variant) {
    std::string name = ("moec.device." + variant).str();
    if (GlobalVariable *known = module.getGlobalVariable(name))
      return known;
    auto *device =
        new GlobalVariable(module, structures.deviceCode, /*isConstant=*/true,
                           GlobalValue::ExternalLinkage, nullptr, name);
    device->setVisibility(GlobalValue::HiddenVisibility);
    return device;
  }

  /// The C wrapper of a compiled function, which may take an executor behind
  /// its other parameters, and behind that the call's paging and its exchange.
  Expected<Function *> wrapperOf(StringRef name, unsigned parameters,
                                 unsigned optional = 0) {
    std::string wrapper = ("_mlir_ciface_" + entryPrefix + name).str();
    Function *function = module.getFunction(wrapper);
    if (!function || function->isDeclaration() ||
        function->arg_size() < parameters ||
        function->arg_size() > parameters + optional)
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

  /// The same seen from the tables: of this module, which then keeps it to
  /// itself, or of another.
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

  /// void kernel(void **descriptors): arguments, then the workspace, then the
  /// executor, then the call's paging and its exchange.
  Error addKernel(const Entry &entry, StringRef variant) {
    unsigned count = entry.arguments.size() + 1;
    Expected<Function *> wrapper = wrapperOf(entry.name, count, /*optional=*/3);
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

  /// moert_argument.contiguous.
  static uint8_t contiguityOf(const EntryArgument &argument) {
    return argument.isPaged ? 2 : argument.isContiguous;
  }

  Constant *addTable(const Entry &entry, ArrayRef<Variant> variants) {
    SmallVector<Constant *> arguments;
    uint32_t alignment = variants.front().hasDeviceCode ? deviceAlignment : 0;
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
                                builder.getInt8(contiguityOf(argument)),
                                builder.getInt32(alignment)}));
    }
    Constant *array =
        addArray("arguments." + entry.name, structures.argument, arguments);
    SmallVector<Constant *> rows;
    for (const Variant &variant : variants)
      rows.push_back(ConstantStruct::get(
          structures.variant,
          {addString("isa", variant.name), builder.getInt64(variant.features),
           findHidden(symbolOf("kernel", entry, variant.name)),
           findHidden(symbolOf("workspace", entry, variant.name)),
           variant.hasDeviceCode
               ? static_cast<Constant *>(findHiddenDevice(variant.name))
               : ConstantPointerNull::get(pointer)}));
    Constant *variantArray =
        addArray("variants." + entry.name, structures.variant, rows);
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

void moec::lowering::addDeviceCode(Module &module, StringRef variant,
                                   const DeviceCode &code) {
  TableBuilder(module).addDeviceCode(variant, code);
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
  for (const auto &[name, type, size] : structures.all())
    os << name << " " << layout.getTypeAllocSize(type) << "\n";
}
